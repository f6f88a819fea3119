"""Weights that ship with kinbench, learnt from nobody: from simulated people, whose data anyone can make again.

They show how weights are offered, fetched and run, and are of no use for anything else: SIMULATION. Each folder is as
the command in its card's description wrote it, on the ``simulated-a`` of ``kinbench demo``; ``simulated-b`` holds
people whom they have not seen. After a change of what they depend on, run the commands again and take over the files'
sha256 (``kinbench weights`` refuses others).
"""

from __future__ import annotations

from typing import Final

from kinbench.contracts import WeightsCard, WeightsFile

_PEOPLE: Final = tuple(f"simulated-a/Subject{number:02}" for number in range(1, 7))


def _files(name: str, card: str, state: str, weights: str) -> tuple[WeightsFile, ...]:
    """Return the shipped files of a folder of weights by their sha256."""
    digests = {"card.json": card, "model/state.json": state, "model/weights.safetensors": weights}
    return tuple(WeightsFile(path, sha256, packaged=f"{__name__}:{name}/{path}") for path, sha256 in digests.items())


SIMULATED_KNEE_CNN: Final = WeightsCard(
    name="simulated-knee-cnn",
    version="1",
    title="SIMULATION: Hur et al. 2025, CNN, knee flexion",
    description="SIMULATION: fitted on people who never lived, to show how weights are used. Made by: kinbench demo; "
    "kinbench train simulated-a --task knee-pair --model hur2025-cnn --to simulated-knee-cnn --data kinbench-demo/data",
    model="hur2025-cnn",
    task="knee-pair",
    licence="Apache-2.0",
    persons=_PEOPLE,
    files=_files(
        "simulated-knee-cnn",
        card="430d8e41274ceb448ab834e557e3b2613afa882ca05e98bbdeeefe2ffa52691b",
        state="f2ae45ba7083c677669a1dedbcc665b9cca6e821f4e1880080fcd4aa0791dbb0",
        weights="1a61320e7cac14435f25d3c0558b9cfd6ba28d2922b5fe50a51ebabbc8d3f0c8",
    ),
)

SIMULATED_GAIT_SSL: Final = WeightsCard(
    name="simulated-gait-ssl",
    version="1",
    title="SIMULATION: Tan et al. 2024, small encoder, pre-trained",
    description="SIMULATION: pre-trained on people who never lived, to show how weights are used. Made by: kinbench "
    "demo; kinbench pretrain simulated-a --task sagittal --model 'ssl-transformer[width=32]' --to simulated-gait-ssl "
    "--data kinbench-demo/data",
    model="ssl-transformer[width=32]",
    task="sagittal",
    licence="Apache-2.0",
    persons=_PEOPLE,
    files=_files(
        "simulated-gait-ssl",
        card="4b218ad42c6acac0e1c56279963e47a3d58b01cefb2bd87ef21b8375045f3bce",
        state="c0180ce6bf634e76453e2d54ae4cc86435819d6893b2c9f0647d346b11de5c9e",
        weights="82f840d87082a621d3008a863a44dfbf614931c4fa40f26a612b55052c548922",
    ),
)
