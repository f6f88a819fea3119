"""The rooms behind ``kinbench_adapters.calgary``.

``metadata`` reads the two tables of people, ``sessions`` finds what there is (folders, the archive, C3D pairs),
``captures`` reads one trial's markers, ``anatomy`` makes the clinic's segment frames of the standing trial,
``tracking`` carries them along and says which samples are not to be believed, ``sensors`` places the virtual sensors,
``rapp2021`` makes those of Rapp et al., and ``recording`` makes one trial whole.
"""
