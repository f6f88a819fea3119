"""What the system of Rapp et al. is made of: networks, augmentation, top-down optimisation, published weights."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from kinbench_benchmarks.models import published
from kinbench_benchmarks.models._state import Scaling
from kinbench_benchmarks.models.rapp2021._augmentation import Augmentation, Augmented
from kinbench_benchmarks.models.rapp2021._networks import ConvNetwork, LstmNetwork, OrientationNetwork, rotations
from kinbench_benchmarks.models.rapp2021._topdown import carry, joint_dofs, searched_step
from kinbench_benchmarks.training import Crops
from raw_folders.bodies import walker
from scipy.spatial.transform import Rotation

from kinbench import kinematics, virtual_imu
from kinbench.errors import DataError, UsageError
from kinbench.recording import segment_dataset
from kinbench.windows import TaskSpec

SEGMENTS = {"hip": ("pelvis", "thigh"), "knee": ("thigh", "shank"), "ankle": ("shank", "foot")}
DOFS = {
    "hip": ("hip_flexion", "hip_adduction", "hip_internal_rotation"),
    "knee": ("knee_flexion", "knee_adduction", "knee_internal_rotation"),
    "ankle": ("ankle_dorsiflexion", "ankle_inversion", "ankle_internal_rotation"),
}


def spec_of(joint="knee", *, norms=True, rate_hz=200.0, window=400, dofs=None):
    channels = ("acc", "acc_norm", "gyr", "gyr_norm") if norms else ("acc", "gyr")
    names = tuple(
        f"{segment}/{channel}{axis}"
        for segment in SEGMENTS[joint]
        for channel in channels
        for axis in (("",) if channel.endswith("_norm") else ("/x", "/y", "/z"))
    )
    return TaskSpec(f"joint-pair/{joint}", 1, names, dofs or DOFS[joint], SEGMENTS[joint], rate_hz, window)


def parameters(network):
    return sum(weight.numel() for weight in network.parameters())


# --- networks --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kernel", "count"), [(41, 449_833), (51, 559_033)])
def test_the_convolutions_have_as_many_weights_as_those_published(kernel, count):
    assert parameters(ConvNetwork(16, 3, 3, 70, kernel, 0.0)) == count


def test_the_orientation_network_has_as_many_weights_as_that_published():
    assert parameters(OrientationNetwork(16, 2)) == 288_412


@pytest.mark.parametrize("layers", [1, 2, 3])
def test_a_convolution_sees_half_a_kernel_either_way_per_layer(layers):
    torch.manual_seed(0)
    network = ConvNetwork(4, 2, layers, 6, 11, 0.1).eval()
    x = torch.randn(1, 200, 4)
    moved = x.clone()
    moved[:, 100] += 5.0
    with torch.inference_mode():
        changed = (network(moved) - network(x)).abs().amax(dim=(0, 2)).numpy() > 0
    assert np.flatnonzero(changed)[[0, -1]].tolist() == [100 - 5 * layers, 100 + 5 * layers]


def test_an_lstm_one_way_never_looks_ahead_and_both_ways_does():
    for bidirectional in (False, True):
        torch.manual_seed(0)
        network = LstmNetwork(4, 2, 2, 5, bidirectional=bidirectional).eval()
        x = torch.randn(1, 50, 4)
        moved = x.clone()
        moved[:, 30] += 5.0
        with torch.inference_mode():
            before = (network(moved) - network(x))[:, :30].abs().max()
        assert (before > 0) == bidirectional


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_six_numbers_name_a_rotation_whatever_their_length(seed):
    six = torch.from_numpy(np.random.default_rng(seed).normal(size=(20, 6)))
    found = rotations(six)
    np.testing.assert_allclose(found.transpose(-1, -2) @ found, np.tile(np.eye(3), (20, 1, 1)), atol=1e-9)
    np.testing.assert_allclose(torch.linalg.det(found), 1.0, atol=1e-9)
    np.testing.assert_allclose(rotations(six * torch.tensor([3.0] * 3 + [0.5] * 3)), found, atol=1e-9)


# --- augmentation ----------------------------------------------------------------------------------------------------


def drawn(count=400, time=5, seed=0):
    """Windows whose lengths of vectors are those of their triads."""
    spec, random = spec_of(window=time), np.random.default_rng(seed)
    x = random.normal(size=(count, time, 16)).astype(np.float32) * 5
    for norm in (3, 7, 11, 15):
        x[..., norm] = np.linalg.norm(x[..., norm - 3 : norm], axis=-1)
    return spec, x


@pytest.mark.parametrize(("compat", "sd_deg"), [(None, 13.5), ("code", 27.0)])
def test_sensors_are_turned_as_far_as_the_paper_says_or_its_code(compat, sd_deg):
    """The angle between a vector and itself turned is the turn's times the sine of its tilt to the axis."""
    spec, x = drawn(1500)
    turned = Augmentation(spec, np.ones(16), 3, noise=0.0, compat=compat)(x)
    angles = []
    for triad in (slice(0, 3), slice(8, 11)):
        # Three of a window's samples, and what became of them, give its rotation.
        pairs = zip(x[:, :, triad], turned[:, :, triad], strict=True)
        angles.append([Rotation.align_vectors(after, before)[0].magnitude() for before, after in pairs])
    rms_deg = np.rad2deg(np.sqrt(np.mean(np.square(angles))))
    assert rms_deg == pytest.approx(sd_deg, rel=0.06)


def test_a_turn_keeps_lengths_and_is_one_for_both_triads_of_a_sensor():
    spec, x = drawn(50)
    before = x.copy()
    turned = Augmentation(spec, np.ones(16), 3, noise=0.0)(x)
    np.testing.assert_array_equal(x, before)
    np.testing.assert_array_equal(turned[..., [3, 7, 11, 15]], x[..., [3, 7, 11, 15]])
    for first in (0, 4, 8, 12):
        now = np.linalg.norm(turned[..., first : first + 3], axis=-1)
        np.testing.assert_allclose(now, x[..., first + 3], rtol=1e-4)
        assert np.abs(turned[..., first : first + 3] - x[..., first : first + 3]).max() > 0.5

    def between(values):  # what a sensor's two vectors say of each other, no turn of the sensor changes
        return (values[..., 0:3] * values[..., 4:7]).sum(-1)

    np.testing.assert_allclose(between(turned), between(x), rtol=1e-3, atol=1e-3)
    across = (x[..., 0:3] * x[..., 8:11]).sum(-1) - (turned[..., 0:3] * turned[..., 8:11]).sum(-1)
    assert np.abs(across).max() > 1.0  # two sensors turn apart


def test_noise_is_a_share_of_each_channels_sd_and_white():
    spec, x = drawn(4000)
    sd = np.arange(1.0, 17.0)
    noise = Augmentation(spec, sd, 3, turn_sd_deg=0.0)(x) - x
    np.testing.assert_allclose(noise.std(axis=(0, 1)), 0.15 * sd, rtol=0.03)
    assert np.abs(np.corrcoef(noise.reshape(-1, 16).T) - np.eye(16)).max() < 0.04


def test_labels_stay_and_an_interrupted_draw_goes_on():
    spec, x = drawn(24, 20)
    y = np.arange(24.0 * 20).reshape(24, 20, 1)

    class Windows:
        def __len__(self):
            return 24

        def take(self, index):
            return x[index], y[index]

    scaling = Scaling(np.full(16, 2.0), np.full(16, 4.0), *np.zeros((3, 1)))

    def crops():
        return Crops(Windows(), np.arange(24) // 6, 10, 2, 5, window=20)

    def sampler(**how):
        return Augmented(crops(), Augmentation(spec, np.ones(16), 5, **how), scaling)

    first, second = sampler(), sampler()
    for _ in range(3):
        first.draw()
    second.restore(first.state())
    (a, labels), (b, _) = first.draw(), second.draw()
    np.testing.assert_array_equal(a, b)
    assert set(labels.ravel()) <= set(y.ravel())
    assert (np.diff(labels[:, :, 0], axis=1) == 1).all()
    untouched = sampler(noise=0.0, turn_sd_deg=0.0)
    assert sampler().fingerprint() != untouched.fingerprint()
    np.testing.assert_allclose(untouched.draw()[0], (crops().draw()[0] - 2.0) / 4.0, rtol=1e-5)  # scaled after all


def test_turns_and_noise_cannot_be_negative():
    with pytest.raises(UsageError, match="cannot be negative"):
        Augmentation(spec_of(), np.ones(16), 0, noise=-0.1)


# --- top-down optimisation -------------------------------------------------------------------------------------------


def test_the_search_of_the_paper_ends_where_the_closed_form_is():
    random = np.random.default_rng(4)
    for rate in (*random.normal(0, 6, (6, 3)), np.zeros(3), np.array([0.0, 0.0, 30.0])):
        off = Rotation.from_matrix(kinematics.rotations_from_vectors(rate / 200.0).T @ searched_step(rate, 200.0))
        assert np.abs(off.as_rotvec() * 200.0).max() < 1e-3


def test_a_gyroscope_carries_an_orientation_on():
    person = walker(2, length_s=6.0, rate_hz=200.0, stand_s=0.0, turn_deg=0.0)
    truth = np.stack([person.rotation[name] for name in ("thigh_r", "shank_r")])
    gyr = np.stack([virtual_imu.angular_rate(kinematics.quaternions(one), 200.0) for one in truth])
    off_deg = {
        compat: np.rad2deg(
            Rotation.from_matrix(
                (carry(truth[:, 0], gyr, 200.0, compat=compat).swapaxes(-1, -2) @ truth).reshape(-1, 3, 3)
            ).magnitude()
        )
        for compat in (None, "code")
    }
    assert off_deg[None].max() < 0.2
    assert off_deg["code"].max() > 4 * off_deg[None].max()  # half a sample late, for a rate at the sample itself
    steps = Rotation.from_matrix((truth[:, :-1].swapaxes(-1, -2) @ truth[:, 1:]).reshape(-1, 3, 3)).as_rotvec()
    backward = np.concatenate([np.zeros((2, 1, 3)), steps.reshape(2, -1, 3) * 200.0], axis=1)
    np.testing.assert_allclose(carry(truth[:, 0], backward, 200.0, compat="code"), truth, atol=1e-9)


@pytest.mark.parametrize("joint", DOFS)
@pytest.mark.parametrize("side", ["r", "l"])
def test_a_turn_about_one_axis_is_our_angle(joint, side):
    first, second = (name if name == "pelvis" else f"{name}_{side}" for name in SEGMENTS[joint])
    for number, dof in enumerate(DOFS[joint]):
        segments = {first: np.tile([1.0, 0, 0, 0], (5, 1))}
        abc = [np.zeros(5)] * 3
        abc[number] = np.linspace(-30, 30, 5)
        segments[second] = kinematics.rotation_from_angles(*abc)
        named = tuple(f"{name}_{side}" for name in DOFS[joint])
        ours = kinematics.joint_angles(segments[first], segments[second])
        found = joint_dofs(*(kinematics.matrices(q) for q in segments.values()), named)
        np.testing.assert_allclose(np.abs(found[:, number]), np.abs(ours[:, number]), atol=1e-9)
        truth = _ours(segments, f"{dof}_{side}")
        np.testing.assert_allclose(found[:, number], truth, atol=1e-4)


def _ours(segments, dof):
    reference = segment_dataset(
        np.arange(5) / 100.0, list(segments), np.stack(list(segments.values()), 1), tier="simulation"
    )
    angles = kinematics.dofs_from_segments(reference)
    return angles["angle"].values[:, [str(name) for name in angles["dof"].values].index(dof)]


def test_a_rotation_vector_is_nearly_our_angles_of_a_gait_and_not_quite():
    person = walker(5, length_s=10.0, rate_hz=100.0, stand_s=0.0, turn_deg=0.0)
    worst = {}
    for joint, dofs in DOFS.items():
        pair = [person.rotation[name if name == "pelvis" else f"{name}_r"] for name in SEGMENTS[joint]]
        found = joint_dofs(*pair, dofs)
        for number, dof in enumerate(dofs):
            worst[dof] = np.abs(found[:, number] - person.angles[f"{dof}_r"]).max()
    assert max(worst[dof] for dof in ("hip_flexion", "knee_flexion", "ankle_dorsiflexion")) < 1.5
    assert 0.5 < worst["knee_internal_rotation"] < 10


def test_an_unknown_orientation_gives_no_angle_and_another_dof_is_refused():
    turn = np.tile(np.eye(3), (4, 1, 1))
    turn[2] = np.nan
    assert np.isnan(joint_dofs(turn, turn, DOFS["knee"])).all(axis=1).tolist() == [False, False, True, False]
    with pytest.raises(DataError, match="'pelvis_tilt' is no angle of a joint"):
        joint_dofs(turn, turn, ("pelvis_tilt",))


# --- published weights -----------------------------------------------------------------------------------------------

SIGNS = {"hip": (-1, -1, -1), "knee": (1, -1, -1), "ankle": (-1, -1, -1)}
"""Of the publication's (flexion, adduction, rotation) in our DoFs."""


def toy(folder, **changes):
    """A folder as Brough et al. published them, of numbers of our own."""
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(1)
    torch.save(ConvNetwork(16, 3, 2, 5, 7, 0.0).state_dict(), folder / "model.pt")
    sizes = {"x_mean": 16, "x_std": 16, "y_mean": 3, "y_std": 3}
    params = {name: torch.rand(1, 1, size) + 0.5 for name, size in sizes.items()} | changes
    torch.save({"norm_type": "standardize", "groups": False, "params": params}, folder / "norm_dict.pt")
    return folder


class Told(torch.nn.Module):
    """A network that gives three of its inputs back: the proximal acceleration."""

    def forward(self, z):
        return z[..., :3]


def relaid(found, spec, layout, x):
    scaling = found.scaling(spec, layout)
    z = torch.from_numpy(scaling.inputs(x))
    out = published.Relaid(Told(), spec, layout)(z).numpy()
    return z.numpy(), out, out * scaling.y_sd + scaling.y_mean


def test_inputs_at_touchdown_are_the_publications(tmp_path):
    """z-scores as the publication's own, of (x, -y, z) of the specific force; a lost sample is its mean."""
    found = published.read(toy(tmp_path / "knee"))
    x = np.random.default_rng(0).normal(size=(2, 5, 16)).astype(np.float32)
    x[0, 0, 2] = np.nan
    spec = spec_of(dofs=("knee_flexion", "knee_adduction", "knee_internal_rotation"))
    for layout, sign in (("published", 1.0), ("touchdown", -1.0)):
        _, out, _ = relaid(found, spec, layout, x)
        theirs = (x[..., :3] * (1.0, sign, 1.0) - found.x_mean[:3]) / found.x_sd[:3]
        np.testing.assert_allclose(out * (1, -1, -1), np.where(np.isfinite(theirs), theirs, 0.0), atol=1e-5)


def test_channels_are_found_by_name(tmp_path):
    found, spec = published.read(toy(tmp_path / "knee")), spec_of()
    x = np.random.default_rng(0).normal(size=(2, 5, 16)).astype(np.float32)
    order = np.random.default_rng(1).permutation(16)
    shuffled = replace(spec, channel_names=tuple(spec.channel_names[at] for at in order))
    expected = relaid(found, spec, "touchdown", x)[2]
    np.testing.assert_allclose(relaid(found, shuffled, "touchdown", x[..., order])[2], expected, rtol=1e-5)


@pytest.mark.parametrize("joint", SIGNS)
def test_angles_are_in_our_order_and_signs(tmp_path, joint):
    found = published.read(toy(tmp_path / joint, y_mean=torch.tensor([1.0, 2.0, 3.0]), y_std=torch.ones(3)))
    x = np.tile(found.x_mean, (1, 1, 1))
    x[..., :3] += (10.0, 20.0, 30.0) * found.x_sd[:3]
    np.testing.assert_allclose(
        relaid(found, spec_of(joint), "published", x)[2][0, 0], np.array(SIGNS[joint]) * (11, 22, 33), rtol=1e-5
    )
    backwards = spec_of(joint, dofs=DOFS[joint][::-2])
    np.testing.assert_allclose(
        relaid(found, backwards, "published", x)[2][0, 0], np.array(SIGNS[joint])[::-2] * (33, 11), rtol=1e-5
    )


def test_what_published_weights_cannot_be_asked_is_told_at_once(tmp_path):
    found = published.read(toy(tmp_path / "hip"))
    with pytest.raises(DataError) as told:
        found.check(spec_of("knee", rate_hz=100.0), "")
    assert len(told.value.problems) == 3
    for words in ("say compat=touchdown", "for 200 Hz, and the task has 100 Hz", "names the hip and the task the knee"):
        assert words in str(told.value)
    with pytest.raises(DataError, match="expected the sensors thigh and shank, got shank and foot"):
        found.check(spec_of("ankle", dofs=DOFS["knee"]), "touchdown")
    with pytest.raises(DataError, match="the task asks knee_flexion, hip_flexion"):
        found.check(spec_of(dofs=("knee_flexion", "hip_flexion")), "touchdown")


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"x_std": torch.zeros(16)}, "expected 'x_std' above 0 throughout"),
        ({"x_mean": torch.zeros(12)}, "expected 'x_mean' of 16 finite numbers"),
        ({"y_mean": torch.full((3,), float("nan"))}, "expected 'y_mean' of 3 finite numbers"),
    ],
)
def test_damaged_statistics_are_refused(tmp_path, changes, says):
    with pytest.raises(DataError, match=says):
        published.read(toy(tmp_path / "knee", **changes))


def test_a_file_with_code_in_it_is_refused_and_never_run(tmp_path):
    class Planted:
        def __reduce__(self):
            return (pytest.fail, ("the file was run",))

    folder = toy(tmp_path / "knee")
    torch.save(Planted(), folder / "model.pt")
    with pytest.raises(DataError, match="holds code and not only numbers"):
        published.read(folder)
    (folder / "model.pt").unlink()
    assert not published.is_published(folder)
    with pytest.raises(DataError, match="of a network's weights, found none"):
        published.read(folder)
