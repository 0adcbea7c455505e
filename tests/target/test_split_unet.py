from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
import torch
from monai.networks.nets.basic_unet import BasicUNet

from leakaudit.errors import ConfigError
from leakaudit.target.split_unet import (
    DEEPEST_LEVEL,
    SplitUNet,
    SplitUNetSpec,
    centralised_spec,
    parameter_count,
    single_site_spec,
)
from leakaudit.target.training import build
from tests.tiny import FEATURES, tiny_spec

SITES = [(4,), (2, 2), (1, 2, 1, 3)]
# Every cut level in 2 and in 3 dimensions, each time at other sites.
NETWORKS = [
    (dims, cut_level, SITES[(dims + cut_level) % len(SITES)])
    for dims in (2, 3)
    for cut_level in range(DEEPEST_LEVEL + 1)
]
DEFAULT = (16, 16, 32, 64, 128, 16)


def skips_of(cut_level: int) -> list[tuple[int, ...]]:
    return [
        skips
        for count in range(cut_level + 1)
        for skips in itertools.combinations(range(cut_level), count)
    ]


@pytest.mark.parametrize(("dims", "cut_level", "channels"), NETWORKS)
def test_shapes_of_what_crosses_and_of_the_logits(
    dims: int, cut_level: int, channels: tuple[int, ...]
) -> None:
    extents = (48, 32, 32)[:dims]
    everything = tuple(range(cut_level))
    for skips in {(), everything[:1], everything}:
        with torch.device("meta"):
            network = SplitUNet(tiny_spec(channels, cut_level, skips, dims))
            images = [torch.empty(2, count, *extents) for count in channels]
        sites = network.encode(images)
        assert len(sites) == len(channels)
        for levels in sites:
            assert [tuple(level.shape) for level in levels] == [
                (2, FEATURES[level], *(extent // 2**level for extent in extents))
                for level in (*skips, cut_level)
            ]
        assert network.server(sites).shape == (2, 4, *extents)


@pytest.mark.parametrize(("dims", "cut_level", "channels"), NETWORKS)
def test_a_bottleneck_narrows_what_crosses_and_nothing_else(
    dims: int, cut_level: int, channels: tuple[int, ...]
) -> None:
    extents = (48, 32, 32)[:dims]
    everything = tuple(range(cut_level))
    for skips, narrow in (((), 5), (everything, 1)):
        spec = tiny_spec(channels, cut_level, skips, dims, bottleneck=narrow)
        with torch.device("meta"):
            network = SplitUNet(spec)
            images = [torch.empty(2, count, *extents) for count in channels]
        sites = network.encode(images)
        for levels in sites:
            assert [level.shape[1] for level in levels] == [
                min(narrow, FEATURES[level]) for level in spec.crossing
            ]
        assert network.server(sites).shape == (2, 4, *extents)
        # There and back, weights and biases, for every site and level that is wider.
        added = sum(
            2 * FEATURES[level] * narrow + narrow + FEATURES[level]
            for level in spec.crossing
            if FEATURES[level] > narrow
        )
        plain = replace(spec, bottleneck=None)
        assert parameter_count(spec) == parameter_count(plain) + len(channels) * added
        names = dict(SplitUNet.named_parameters(network))
        with torch.device("meta"):
            of_plain = dict(SplitUNet(plain).named_parameters())
        assert {name: p.shape for name, p in of_plain.items()}.items() <= {
            name: p.shape for name, p in names.items()
        }.items()


def test_a_bottleneck_that_narrows_nothing_leaves_the_network_as_it_is() -> None:
    plain, wide = (
        build(tiny_spec(cut_level=2, bottleneck=bottleneck), 0).state_dict()
        for bottleneck in (None, max(FEATURES))
    )
    assert list(plain) == list(wide)
    assert not any("narrow" in name or "widen" in name for name in plain)
    assert all(torch.equal(plain[name], wide[name]) for name in plain)


def test_what_crosses_a_bottleneck_is_all_that_the_label_site_knows_of_a_level() -> None:
    network = build(tiny_spec(cut_level=1, bottleneck=1), 0).eval()
    sent = network.encode([torch.rand(1, 2, 32, 32) for _ in range(2)])
    widened = network.server._widened(0, [levels[0] for levels in sent])
    for tensor, levels in zip(widened, sent, strict=True):
        flat = (tensor - tensor.mean((2, 3), keepdim=True)).flatten(2)[0]
        assert flat.shape[0] == FEATURES[0]
        assert torch.linalg.matrix_rank(flat, rtol=1e-4) == levels[0].shape[1] == 1
    # Each site's tensor is widened by weights of its own.
    first, second = (network.server.get_parameter(f"widen.0.{site}.weight") for site in (0, 1))
    assert not torch.equal(first, second)


def test_values_flow_in_2d_and_3d() -> None:
    for dims, narrow in itertools.product((2, 3), (None, 2)):
        network = build(tiny_spec(spatial_dims=dims, bottleneck=narrow), 0)
        images = [torch.rand(1, 2, *(32, 16, 16)[:dims]) for _ in range(2)]
        logits = network(images)
        assert logits.shape == (1, 4, *(32, 16, 16)[:dims])
        assert logits.isfinite().all()


@pytest.mark.parametrize("cut_level", range(1, DEEPEST_LEVEL + 1))
def test_the_server_has_no_channels_for_a_withheld_skip(cut_level: int) -> None:
    sites = 2
    for skips in skips_of(cut_level):
        with torch.device("meta"):
            server = SplitUNet(tiny_spec(cut_level=cut_level, shared_skips=skips)).server
        for level, up in zip(reversed(range(DEEPEST_LEVEL)), server.ups, strict=True):
            below = sites * FEATURES[level + 1]
            upsampled = below // 2 if level else below
            withheld = level < cut_level and level not in skips
            skip = 0 if withheld else sites * FEATURES[level]
            weight = up.get_parameter("convs.conv_0.conv.weight")
            assert weight.shape[1] == upsampled + skip
        assert len(server.downs) == DEEPEST_LEVEL - cut_level


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"channels": ()}, "at least one modality"),
        ({"channels": (2, 0)}, "at least one modality"),
        ({"cut_level": 5}, "0 to 4"),
        ({"cut_level": -1}, "0 to 4"),
        ({"features": (4, 4, 4, 8, 8)}, "six positive"),
        ({"features": (4, 4, 4, 8, 8, 0)}, "six positive"),
        ({"spatial_dims": 1}, "2 or 3"),
        ({"bottleneck": 0}, "1 channel or more"),
        ({"shared_skips": (2,)}, r"subset of \[0, 1\]"),
        ({"shared_skips": (1, 0)}, "rising subset"),
        ({"shared_skips": (0, 0)}, "rising subset"),
        ({"shared_skips": (-1,)}, "rising subset"),
        ({"cut_level": 0, "shared_skips": (0,)}, r"subset of \[\]"),
    ],
)
def test_a_network_that_can_not_be_is_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        replace(tiny_spec(cut_level=2), **change)  # type: ignore[arg-type]


@pytest.mark.parametrize("channels", SITES, ids=lambda sites: f"{len(sites)}-sites")
@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize("cut_level", [0, 4])
def test_the_centralised_reference_is_as_large(
    channels: tuple[int, ...], dims: int, cut_level: int
) -> None:
    spec = tiny_spec(channels, cut_level, (), dims, DEFAULT)
    reference = centralised_spec(spec)
    assert reference.channels == (sum(channels),)
    assert abs(parameter_count(reference) / parameter_count(spec) - 1) <= 0.02
    narrow = replace(spec, bottleneck=4)
    reference = centralised_spec(narrow)
    assert reference.bottleneck is None
    assert abs(parameter_count(reference) / parameter_count(narrow) - 1) <= 0.02


def test_no_nearby_factor_is_closer_to_the_size_asked_for() -> None:
    spec = tiny_spec((2, 2), 2, (), features=DEFAULT)
    wanted, found = parameter_count(spec), centralised_spec(spec)
    error = abs(parameter_count(found) / wanted - 1)
    factor = round(100 * found.features[4] / spec.features[4])
    for percent in range(factor - 5, factor + 6):
        features = tuple(round(width * percent / 100) for width in spec.features)
        assert abs(parameter_count(replace(found, features=features)) / wanted - 1) >= error


def test_a_reference_that_can_not_be_matched_is_refused() -> None:
    with pytest.raises(ConfigError, match="within 2 %"):
        centralised_spec(tiny_spec(features=(1, 1, 1, 1, 1, 1), channels=(1, 1)))


def test_the_single_site_reference_keeps_the_features() -> None:
    spec = tiny_spec((1, 3), cut_level=2)
    alone = single_site_spec(spec, 1)
    assert (alone.channels, alone.features) == ((3,), spec.features)
    assert single_site_spec(replace(spec, bottleneck=2), 1) == alone


def test_the_parameter_count_is_that_of_the_built_network() -> None:
    for bottleneck in (None, 2):
        spec = tiny_spec((1, 2, 1), cut_level=2, shared_skips=(1,), bottleneck=bottleneck)
        built = sum(parameter.numel() for parameter in build(spec, 0).parameters())
        assert parameter_count(spec) == built


def basic_name(name: str, cut_level: int) -> str:
    """MONAI's name of a parameter of a one-site Split-U-Net."""
    part, *rest = name.removeprefix("encoders.0.").removeprefix("server.").split(".")
    if part == "classifier":
        return ".".join(["final_conv", *rest])
    number, *rest = rest
    block = {
        "blocks": f"down_{number}" if int(number) else "conv_0",
        "downs": f"down_{int(number) + cut_level + 1}",
        "ups": f"upcat_{DEEPEST_LEVEL - int(number)}",
    }[part]
    return ".".join([block, *rest])


@pytest.mark.parametrize("cut_level", range(DEEPEST_LEVEL + 1))
@pytest.mark.parametrize("dims", [2, 3])
def test_one_site_with_all_skips_is_monais_basic_unet(cut_level: int, dims: int) -> None:
    spec: SplitUNetSpec = tiny_spec((3,), cut_level, spatial_dims=dims)
    ours = build(spec, 0).eval()
    theirs = BasicUNet(dims, in_channels=3, out_channels=4, features=FEATURES).eval()
    assert parameter_count(spec) == sum(parameter.numel() for parameter in theirs.parameters())
    renamed = {basic_name(name, cut_level): value for name, value in ours.state_dict().items()}
    theirs.load_state_dict(renamed)
    images = torch.rand(2, 3, *(32, 32, 16)[:dims], generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        torch.testing.assert_close(ours([images]), theirs(images), rtol=1e-5, atol=1e-5)
