"""Hur, Baek, Kang, Kim: Sci Rep 15:5287 (2025), headline numbers and claims. The paper prints no tables of joints."""

from kinbench.publications import Claim, Column, Contrast, Measure, Paper, PublishedTable, Row

_LSTM, _CNN = Measure(model="hur2025-lstm"), Measure(model="hur2025-cnn")
_UI, _UG, _UA = (Measure(protocol=name) for name in ("ui", "ug", "ua"))
_SAGITTAL, _BODY = Measure(task="sagittal"), Measure(task="lower-body")
_PAIR = Measure(task="knee-pair")
_BEST_PAIR = "thigh_r+foot_r"
_OTHER_PAIRS = ("pelvis+thigh_r", "pelvis+shank_r", "pelvis+foot_r", "thigh_r+shank_r", "shank_r+foot_r")


def _pair(sensors: str) -> Measure:
    return Measure(
        protocol="sensor-subsets/ug", task="sagittal", model="ridge", condition={"sensors": sensors},
        dofs=("hip_flexion_r", "knee_flexion_r"),
    )  # fmt: skip


_HEADLINE = PublishedTable(
    number="Figures 3 to 7",
    title="RMSE over the ten angles of both legs",
    unit="deg",
    spread="mean ± SD over joints, of one test participant (UG and IK are derived from stated per cent)",
    columns=(
        Column("lower-body", _BODY), Column("sagittal (here only)", _SAGITTAL), Column("knee-pair (here only)", _PAIR),
    ),
    rows=(
        Row("LSTM, user-individualised", ((2.81, 0.75), None, None), _LSTM.joined(_UI)),
        Row("LSTM, user-generalised", (11.96, None, None), _LSTM.joined(_UG)),
        Row("CNN, user-generalised", (12.27, None, None), _CNN.joined(_UG)),
        Row("LSTM, user-adaptive", ((5.52, 2.10), None, None), _LSTM.joined(_UA)),
        Row("IMU inverse kinematics", (5.53, None, None), Measure(model="opensense-ik", protocol="ug")),
    ),
    differs="The paper: seven people of the OpenSense study walking straight, 72 channels with the devices' own Euler "
    "angles, one test participant in UG, z-scores of each participant's whole recording, random validation windows "
    "beside training ones, optical marker IK as reference. Here: leave one person out, contiguous blocks, training "
    "statistics alone, 48 channels in segment axes (lower-body) or fewer.",
)  # fmt: skip

HUR_2025 = Paper(
    name="Hur 2025",
    citation="Hur, Baek, Kang, Kim: Sci Rep 15:5287 (2025)",
    tables=(_HEADLINE,),
    claims=(
        Claim(
            "A model of the user's own data is best, one of other people worst",
            "Results, RMSE",
            (
                Contrast("LSTM, ui against ug", _LSTM.joined(_UI).joined(_PAIR), _LSTM.joined(_UG).joined(_PAIR)),
                Contrast("LSTM, ui against ua", _LSTM.joined(_UI).joined(_PAIR), _LSTM.joined(_UA).joined(_PAIR)),
                Contrast("LSTM, ua against ug", _LSTM.joined(_UA).joined(_PAIR), _LSTM.joined(_UG).joined(_PAIR)),
            ),
        ),
        Claim(
            "Adapted to the user, it is about as good as IMU inverse kinematics",
            "Results, RMSE: -0.4 %",
            (
                Contrast(
                    "LSTM in ua no more than 1 deg worse than vqf-jcs, which stands for OpenSim's",
                    _LSTM.joined(_UA).joined(_PAIR),
                    Measure(model="vqf-jcs", protocol="ug").joined(_PAIR), within=1.0,
                ),
            ),
        ),
        Claim(
            "The LSTM is better than the CNN under every method",
            "Results, LSTM against CNN",
            tuple(
                Contrast(name.protocol, _LSTM.joined(name).joined(_PAIR), _CNN.joined(name).joined(_PAIR))
                for name in (_UI, _UG, _UA)
            ),
        ),
        Claim(
            "Femur and calcaneus are the best pair of sensors",
            "Fig. 6, hip and knee",
            tuple(
                Contrast(f"ridge, right hip and knee: {_BEST_PAIR} against {other}", _pair(_BEST_PAIR), _pair(other))
                for other in _OTHER_PAIRS
            ),
        ),
        Claim(
            "20 % of the user's data are enough to adapt",
            "Methods, 20/20/60",
            (
                Contrast(
                    "LSTM adapted to 20 % against 40 %, within 1 deg",
                    Measure(protocol="few-shot/fraction", condition={"percent": 20}).joined(_LSTM).joined(_PAIR),
                    Measure(protocol="few-shot/fraction", condition={"percent": 40}).joined(_LSTM).joined(_PAIR),
                    within=1.0,
                ),
            ),
        ),
    ),
)  # fmt: skip
