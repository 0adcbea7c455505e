"""Patients and networks small enough to attack within seconds."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
import torch
from scipy.ndimage import gaussian_filter

from leakaudit.contracts import Capability, Defense, Observation, ReleaseSetting
from leakaudit.data import Patient
from leakaudit.target.split_unet import SplitUNet, SplitUNetSpec
from leakaudit.target.training import TrainingData, TrainingSettings, build
from leakaudit.threat.gradients import Companions
from leakaudit.threat.observing import observe
from leakaudit.threat.presets import threat_named
from leakaudit.threat.system import System, images_of, masks_of, middle_slices

FEATURES = (4, 4, 4, 8, 8, 4)


def tiny_spec(
    channels: tuple[int, ...] = (2, 2),
    cut_level: int = 1,
    shared_skips: tuple[int, ...] | None = None,
    spatial_dims: int = 2,
    features: tuple[int, ...] = FEATURES,
    bottleneck: int | None = None,
) -> SplitUNetSpec:
    """All skips cross unless said otherwise."""
    return SplitUNetSpec(
        channels=channels,
        cut_level=cut_level,
        shared_skips=tuple(range(cut_level)) if shared_skips is None else shared_skips,
        spatial_dims=spatial_dims,
        features=features,
        bottleneck=bottleneck,
    )


def tiny_patients(
    count: int, *, slices: int = 2, size: int = 32, modalities: int = 4, seed: int = 0
) -> list[Patient]:
    """Smooth textures inside ellipses of differing outline, each with three small tumour parts."""
    rng = np.random.default_rng(seed)
    rows, columns = np.meshgrid(*(np.linspace(-1, 1, size),) * 2, indexing="ij")
    patients = []
    for number in range(count):
        images = np.zeros((slices, modalities, size, size), dtype=np.float32)
        masks = np.zeros((slices, size, size), dtype=np.int8)
        height, width = rng.uniform(0.6, 0.9, 2)
        aside = np.random.default_rng([seed, number]).uniform(-0.2, 0.2, 2)
        brain = (rows / height) ** 2 + (columns / width) ** 2 < 1
        for image, mask in zip(images, masks, strict=True):
            for modality in image:
                texture = gaussian_filter(rng.standard_normal((size, size)), 2.0)
                low, high = texture.min(), texture.max()
                modality[brain] = (0.2 + 0.7 * (texture - low) / (high - low))[brain]
            distance = (rows - aside[0]) ** 2 + (columns - aside[1]) ** 2
            for label, radius in ((1, 0.35), (2, 0.25), (3, 0.15)):
                mask[distance < radius**2] = label
        patients.append(Patient(id=f"tiny-{seed}-{number}", images=images, masks=masks))
    return patients


def tiny_network(spec: SplitUNetSpec, seed: int) -> SplitUNet:
    """An untrained network of one's own, which a test may change."""
    return build(spec, seed).eval()


@cache
def _shared(spec: SplitUNetSpec, seed: int) -> tuple[SplitUNet, tuple[object, ...]]:
    network = tiny_network(spec, seed)
    return network, _versions(network)


def _versions(network: SplitUNet) -> tuple[object, ...]:
    """Where each weight is, how often it was written to in place, and the mode of each part."""
    weights = ((w.data_ptr(), w._version, w.requires_grad) for w in network.parameters())
    return (*weights, *(part.training for part in network.modules()))


def _shared_network(spec: SplitUNetSpec, seed: int) -> SplitUNet:
    """An untrained network that many tests only read: building it is most of a system's cost.

    Raises:
        AssertionError: a test has changed it.
    """
    network, versions = _shared(spec, seed)
    assert versions == _versions(network), "a test changed this network"
    return network


def tiny_system(
    defense: Defense,
    spec: SplitUNetSpec | None = None,
    auxiliary: list[Patient] | None = None,
    seed: int = 0,
    network_of: Callable[[SplitUNetSpec, int], SplitUNet] = _shared_network,
) -> System:
    """An untrained system with other weights after each of two epochs, defense fitted.

    A test that changes its networks passes ``network_of=tiny_network``.
    """
    spec = tiny_spec() if spec is None else spec
    initial = network_of(spec, seed)
    others = tiny_patients(2, modalities=sum(spec.channels), seed=99)
    images = torch.cat([images_of(patient) for patient in auxiliary or others])
    with torch.no_grad():
        levels = initial.encode(images.split(list(spec.channels), dim=1))
    setting = ReleaseSetting(
        sites=len(spec.channels), releases_per_patient=4, auxiliary_levels=levels
    )
    halfway, network = (network_of(spec, seed + number) for number in (2, 1))
    return System(
        network=network,
        initial=initial,
        settings=TrainingSettings(epochs=2, keep_encoders=True, keep_networks=(1,)),
        between={1: halfway},
        transcript=(tuple(halfway.encoders), tuple(network.encoders)),
        defense=defense.fit(setting),
        seed=seed,
        device=torch.device("cpu"),
    )


def tiny_observation(
    threat: str,
    defense: Defense,
    spec: SplitUNetSpec | None = None,
    *,
    victims: list[Patient],
    auxiliary: list[Patient],
    releases: int = 1,
    companions: Companions | None = None,
    seed: int = 0,
) -> Observation:
    """What the threat grants on an untrained system; a data site is the first one.

    Candidates, where they are granted, are those in training and then the victims.
    """
    system = tiny_system(defense, spec, auxiliary, seed)
    preset = threat_named(threat)
    training = tiny_patients(3, modalities=sum(system.network.spec.channels), seed=3)
    listed = Capability.CANDIDATES in preset.capabilities
    return observe(
        preset,
        system,
        victims=victims,
        auxiliary=auxiliary,
        releases=releases,
        site=0 if preset.position == "data site" else None,
        training=training,
        candidates=middle_slices([*training, *victims]) if listed else None,
        companions=companions,
    )


def tiny_training_data(patients: list[Patient], channels: tuple[int, ...] = (2, 2)) -> TrainingData:
    """All slices of the patients, as the parties hold them."""
    images = torch.cat([images_of(patient) for patient in patients])
    return TrainingData(
        views=tuple(view.contiguous() for view in images.split(list(channels), dim=1)),
        masks=torch.cat([masks_of(patient) for patient in patients]),
    )
