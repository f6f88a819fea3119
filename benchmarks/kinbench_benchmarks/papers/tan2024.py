"""Tan, Shull, Hicks, Uhlrich, Chaudhari: IEEE TBME 71(7) (2024), Table II and claims."""

from kinbench.publications import Claim, Column, Contrast, Measure, Paper, PublishedTable, Reported, Row

_R = Measure(model="ssl-transformer", protocol="five-fold", metric="r")
_SCRATCH, _BEGUN = Measure(pretrained=False).joined(_R), Measure(pretrained=True).joined(_R)
_AXES = {"ml": "grf_medial_r", "ap": "grf_anterior_r", "v": "grf_vertical_r"}


def _row(label: str, task: str, values: str, measure: Measure | None) -> Row:
    numbers = [float(number) for number in values.split()]
    pairs: tuple[Reported, ...] = tuple(zip(numbers[::2], numbers[1::2], strict=True))
    return Row(label, pairs, None if measure is None else Measure(task=task).joined(measure))


_TABLE_II = PublishedTable(
    number="Table II",
    title="Correlation of the right foot's ground reaction with the plate's",
    unit="1",
    spread="mean ± SD over participants, stance only",
    columns=tuple(Column(label, Measure(dofs=(dof,))) for label, dof in _AXES.items()),
    rows=(
        _row("Treadmill, baseline", "grf/treadmill", ".89 .02 .96 .01 .93 .03", _SCRATCH),
        # Both transfers can be run, and a result says what it began from by the name of its weights alone, not by kind.
        _row("Treadmill, motion transfer", "grf/treadmill", ".92 .01 .97 .01 .96 .02", None),
        _row("Treadmill, task transfer", "grf/treadmill", ".93 .01 .98 .01 .97 .01", None),
        _row("Treadmill, self-supervised", "grf/treadmill", ".94 .02 .98 .01 .97 .02", _BEGUN),
        _row("Overground, baseline", "grf/overground", ".94 .03 .93 .02 .92 .03", _SCRATCH),
        _row("Overground, motion transfer", "grf/overground", ".95 .02 .93 .02 .93 .03", None),
        _row("Overground, task transfer", "grf/overground", ".96 .01 .94 .02 .94 .02", None),
        _row("Overground, self-supervised", "grf/overground", ".96 .02 .94 .02 .94 .03", _BEGUN),
        _row("Drop landing, baseline", "grf/drop-landing", ".74 .12 .88 .08 .93 .05", _SCRATCH),
        _row("Drop landing, motion transfer", "grf/drop-landing", ".75 .12 .87 .09 .93 .04", None),
        _row("Drop landing, task transfer", "grf/drop-landing", ".75 .13 .90 .08 .93 .05", None),
        _row("Drop landing, self-supervised", "grf/drop-landing", ".75 .12 .90 .08 .92 .06", _BEGUN),
    ),
    differs="The paper: 17 participants on a treadmill (23,481 windows), 19 overground, 15 landing, in five folds, "
    "pre-trained on 713,828 synthetic windows of some 500 people; hyper-parameters chosen on the test folds; its "
    "RMSE, printed in N/kg, are in body weights. Here far fewer people, pre-trained on whatever unlabelled stores "
    "there are, nothing chosen on a test fold. Its transfers, from forces of running and from "
    "accelerations of the pelvis, stand as reported.",
)  # fmt: skip

_TREADMILL = Measure(task="grf/treadmill")

TAN_2024 = Paper(
    name="Tan 2024",
    citation="Tan, Shull, Hicks, Uhlrich, Chaudhari: Self-supervised learning improves accuracy and data efficiency "
    "for IMU-based ground reaction force estimation. IEEE TBME 71(7) (2024)",
    tables=(_TABLE_II,),
    claims=(
        Claim(
            "Pre-training without labels makes forces more accurate",
            "Table II",
            (Contrast("treadmill, r", _BEGUN.joined(_TREADMILL), _SCRATCH.joined(_TREADMILL)),),
        ),
        Claim(
            "With it, 20 % of the windows do as well as all of them without",
            "Fig. 5; 1 % on a treadmill",
            (
                Contrast(
                    "treadmill, r, within 0.01",
                    Measure(protocol="data-size/windows/linear", condition={"fraction": 0.2}).joined(_BEGUN).joined(
                        _TREADMILL
                    ),
                    _SCRATCH.joined(_TREADMILL), within=0.01,
                ),
            ),
        ),
        Claim(
            "Little masking is best",
            "Fig. 6: 6 to 12.5 % with patches of 1 or 2",
            (
                Contrast(
                    "treadmill, r: begun from 12.5 % masked against 62.5 %",
                    Measure(settings={"masked": 0.125}).joined(_BEGUN).joined(_TREADMILL),
                    Measure(settings={"masked": 0.625}).joined(_BEGUN).joined(_TREADMILL),
                ),
            ),
        ),
        Claim(
            "Data matter more than the size of the model",
            "Discussion",
            untestable="it takes hundreds of people to pre-train on, and none of the sets that may be had freely "
            "is as large",
        ),
    ),
)  # fmt: skip
