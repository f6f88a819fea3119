"""The self-supervised transformer of Tan, Shull, Hicks, Uhlrich and Chaudhari (IEEE Trans Biomed Eng 71(7), 2024).

As published: windows of 128 samples at 100 Hz of 8 sensors, 48 channels, patches of one sample; 6 layers of 192 with 8
heads; pre-trained for 50,000 steps to reconstruct what is masked in 730,000 unlabelled windows; then 300 steps of a
linear head and 300 of everything on windows with ground reaction forces.

Where paper and code differ: the mask is one contiguous run, as in the code that the results come from
(``masking=random`` scatters it, as the paper says); inputs and answers are z-scored per axis, as the paper says
(``compat=code``: one SD for all accelerometers and one for all gyroscopes, no mean); a stage has as many steps as the
paper says, not whole epochs; a window counts as static below 0.2 m/s^2, as the paper says.

Departures: the loss of pre-training is over values that are there, since most datasets lack some of the sensors, and
the embedding of absent samples is learnt from pre-training on (theirs were complete); layers start from different
random weights; channels, DoFs and window come from the task, and those of a task that the weights do not have start at
random. One scaling is fitted on all pre-training windows (theirs on each dataset); fine-tuning has its own.

The paper's experiments. STORE has forces, STORES are what there is to pre-train on; for the paper's own sizes and
steps, ``recipe=paper`` goes into all brackets of one line, since weights are of one network.

Self-supervised, and the baseline without::

    kinbench pretrain STORES -t grf/treadmill -m ssl-transformer --to weights/ssl
    kinbench run -d STORE -t grf/treadmill -p five-fold -m ssl-transformer@weights/ssl -m ssl-transformer

The grid of masks, a pair of lines for each of ``GRID`` (patch 1, 2, 4 or 8; masked 0.0625, 0.125, 0.25, 0.375, 0.5 or
0.625)::

    kinbench pretrain STORES -t grf/treadmill -m 'ssl-transformer[patch=2,masked=0.25]' --to weights/p2-m25
    kinbench run -d STORE -t grf/treadmill -p five-fold -m 'ssl-transformer[patch=2,masked=0.25]@weights/p2-m25'

Task transfer, from the body's acceleration, which any store tells whose reference has the pelvis's position and
heading (the paper: the pelvis's, in the axes of the laboratory; here along the line walked, which no sensor needs a
compass for)::

    kinbench train STORES -t body-acceleration -m ssl-transformer --to weights/body
    kinbench run -d STORE -t grf/treadmill -p five-fold -m ssl-transformer@weights/body

Motion transfer, from the forces of another motion. The encoder is taken, the head is new. Of ``each-foot`` both feet
teach, the left one mirrored, and what they taught is the right foot's::

    kinbench train RUNNERS -t grf/running/each-foot -m ssl-transformer --to weights/runs
    kinbench run -d STORE -t grf/treadmill -p five-fold -m ssl-transformer@weights/runs

Where runners wore sensors on the right leg alone, ``-t grf/running -m 'ssl-transformer[mirror=true]'`` in both lines
fills the left leg's with the right's, mirrored, as the publication did.

How much data is enough, in windows (``linear``: tenths; else by decades) or in people (``data-size/persons``)::

    kinbench run -d STORE -t grf/treadmill -p data-size/windows/linear -m ssl-transformer@weights/ssl -m ssl-transformer
"""

from kinbench_benchmarks.models.tan2024.masking import GRID, PATCHES, RATIOS, Masking
from kinbench_benchmarks.models.tan2024.model import SslTransformer
from kinbench_benchmarks.models.tan2024.network import Shape, SslNetwork
from kinbench_benchmarks.models.tan2024.recipes import RECIPES, Recipe
from kinbench_benchmarks.models.tan2024.reconstruction import Reconstruction, reconstruction

__all__ = [
    "GRID", "PATCHES", "RATIOS", "RECIPES", "Masking", "Recipe", "Reconstruction", "Shape", "SslNetwork",
    "SslTransformer", "reconstruction",
]  # fmt: skip
