"""Where truth and reconstruction meet: figures, floors and the negative control of one cell."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from typing import final

import numpy as np

from leakaudit.audit.storage.system import Segmenter, middle_images
from leakaudit.contracts import Reconstruction
from leakaudit.data import Patient, brain_mask
from leakaudit.measure import controls, fidelity, identity, metrics, prior, statistics, utility
from leakaudit.records import Control, Harm, Leakage, PatientScore, Success


@final
class ImageScorer:
    """Holds the truth about a cell's victims and the guesses made without any observation.

    ``own_guess`` is the floor's guess where it differs from victim to victim; None where one guess
    made of the auxiliary patients does, which anybody can make again who knows its name.
    """

    def __init__(
        self,
        victims: Sequence[Patient],
        auxiliary: Sequence[Patient],
        gallery: Iterable[Patient],
        *,
        modalities: Sequence[int] | None = None,
        names: Sequence[str] = (),
        segmenter: Segmenter | None = None,
        bounded: bool = False,
    ) -> None:
        """Score the blind guesses.

        Args:
            victims: whose middle slices are attacked.
            auxiliary: whom the blind guesses are made from.
            gallery: among whom a victim is to be singled out; all but the auxiliary patients.
            modalities: which of them the attack recovers, by position; all of them if None.
            names: what these modalities are called; without names none has a figure of its own.
            segmenter: finds tumours, trained on other patients than the victims; None if there is
                no such one.
            bounded: whether the defense bounds reconstructions of these victims, so that its
                bound's prior is wanted.
        """
        self._segmenter = segmenter
        self._victims = victims
        self._names = tuple(names)
        chosen = slice(None) if modalities is None else list(modalities)
        # Of everybody else the middle slice alone is kept.
        middles = [(one.id, one.images[one.middle].copy()) for one in gallery]
        self._gallery_ids = [name for name, _ in middles]
        all_of_gallery = np.stack([image for _, image in middles])
        self._gallery = all_of_gallery[:, chosen]
        whole = middle_images(victims)
        self._truth, self._brain = whole[:, chosen], brain_mask(whole)
        self._tumour = np.stack([patient.masks[patient.middle] > 0 for patient in victims])
        all_of_others = middle_images(auxiliary)
        others = all_of_others[:, chosen]
        self._blind = controls.blind_guesses(others)
        self._guess_name, guess, self.floor = controls.best_blind_guess(
            self._blind, self._truth, self._brain
        )
        self._guess = np.broadcast_to(guess, self._truth.shape)
        self.own_guess: np.ndarray | None = None
        outline = controls.outline_floor(self._brain, others, brain_mask(all_of_others))
        self._outline_floor = fidelity.ssim_brain(outline, self._truth, self._brain)
        self._prior: np.ndarray | None = None
        if bounded:
            attacked = {patient.id for patient in victims}
            spared = [name not in attacked for name in self._gallery_ids]
            self._prior = np.concatenate([all_of_gallery[spared], all_of_others])
        self._chosen = chosen

    def raise_floor(self, name: str, reconstruction: Reconstruction) -> None:
        """Let what somebody recovers who did not see the observation be the floor, if higher."""
        images = reconstruction.images.numpy()
        scores = fidelity.ssim_brain(images, self._truth, self._brain)
        if scores.mean() > self.floor.mean():
            self._guess_name, self._guess, self.floor = name, images, scores
            self.own_guess = images

    def figures(self, reconstruction: Reconstruction) -> dict[str, Leakage]:
        """The field of the cell's record, and what stands in it."""
        return {"leakage": self._leakage(reconstruction)}

    def _leakage(self, reconstruction: Reconstruction) -> Leakage:
        images = reconstruction.images.numpy()
        recovered = metrics.Recovered(images, self._truth, self._brain, self._tumour)
        scored = {
            one.name: tuple(map(_finite, one.scored(recovered)))
            for one in metrics.METRICS
            if one.scored is not None
        }
        means = {
            one.name: statistics.interval(values, least=one.low, most=one.high)
            for one in metrics.METRICS
            if (values := one.mean(scored.get(one.name, ())))
        }
        inside = np.array(scored["ssim_brain"])
        found = self._tumour_dice(images)
        by_modality = dict(self._by_modality(images))
        hits, guessed = self._picked_out(images), self._picked_out(self._guess)
        return Leakage(
            **metrics.placed(Leakage, means),
            blind_floor=float(self.floor.mean()),
            blind_floor_name=self._guess_name,
            outline_floor=float(self._outline_floor.mean()),
            advantage=controls.advantage(inside, self.floor),
            reidentification=identity.share_picked_out(
                hits, guessed, [len(self._gallery_ids)] * len(hits)
            ),
            patients=tuple(
                PatientScore(
                    patient=patient.id,
                    **metrics.placed(
                        PatientScore, {name: values[index] for name, values in scored.items()}
                    ),
                    blind_floor=float(self.floor[index]),
                    outline_floor=float(self._outline_floor[index]),
                    tumour_dice=found[index],
                    picked_out=float(hits[index]),
                    blind_picked_out=float(guessed[index]),
                    by_modality={
                        name: float(scores[index]) for name, scores in by_modality.items()
                    },
                )
                for index, patient in enumerate(self._victims)
            ),
            harm=self._harm(found),
            success=self._success(inside),
            by_modality={
                name: statistics.interval(scores, least=-1.0, most=1.0)
                for name, scores in by_modality.items()
            },
            blind_by_modality={
                name: float(scores.mean()) for name, scores in self._by_modality(self._guess)
            },
            objective_first=reconstruction.objective_first,
            objective_last=reconstruction.objective_last,
        )

    def _picked_out(self, images: np.ndarray) -> tuple[Fraction, ...]:
        """Say for each victim whether its image picks it out of the gallery."""
        names = [patient.id for patient in self._victims]
        return identity.picked_out(images, names, self._gallery, self._gallery_ids)

    def _by_modality(self, images: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
        """SSIM inside the brain of the victims, modality by modality."""
        if self._names:
            scores = fidelity.ssim_modalities(images, self._truth, self._brain)
            yield from zip(self._names, scores.T, strict=True)

    def _success(self, inside: np.ndarray) -> Success | None:
        """Compare with a guess that sees nothing, over all patients that are not victims."""
        if self._prior is None:
            return None
        return prior.success(
            inside, self._blind, self._prior[:, self._chosen], brain_mask(self._prior)
        )

    def _tumour_dice(self, images: np.ndarray) -> list[float | None]:
        """Whole-tumour Dice that the segmenter reaches on images of the victims."""
        if self._segmenter is None:
            return [None] * len(images)
        labels = self._segmenter(images)
        return [
            utility.dice_patient(
                labels[index][None], patient.masks[patient.middle][None].astype(int), patient.id
            ).whole_tumour
            for index, patient in enumerate(self._victims)
        ]

    def _harm(self, found: Sequence[float | None]) -> Harm | None:
        """Return the tumour Dice with ceiling and floor, over victims whose slice has a tumour."""
        reached = [value for value in found if value is not None]
        if not reached:
            return None
        blind = np.broadcast_to(self._guess, self._truth.shape).copy()
        original, guessed = (
            [value for value in self._tumour_dice(images) if value is not None]
            for images in (self._truth, blind)
        )
        return Harm(
            reconstruction=statistics.interval(reached, least=0.0, most=1.0),
            original=float(np.mean(original)),
            blind=float(np.mean(guessed)),
        )

    def on_others(self, reconstruction: Reconstruction) -> np.ndarray | None:
        """SSIM of each reconstruction with the next victim; None if there is only one victim.

        That is the attack on another patient's observation, victims being attacked one by one.
        """
        order = controls.derangement(len(self._truth))
        if order is None:
            return None
        images = reconstruction.images.numpy()[order]
        scores: np.ndarray = fidelity.ssim_brain(images, self._truth, self._brain)
        return scores

    def swapped_messages_control(self, reconstruction: Reconstruction, held: str) -> Control:
        """The attack with what it held already, but another patient's messages."""
        images = reconstruction.images.numpy()
        scores = fidelity.ssim_brain(images, self._truth, self._brain)
        return controls.negative_control(scores, self.floor, held)

    def negative_control(
        self, reconstruction: Reconstruction, twin: Reconstruction | None = None
    ) -> Control:
        """The attack on other patients' observations, compared with the floor.

        Args:
            reconstruction: of the attack.
            twin: of the same attack trained on shuffled pairs; takes the floor's place.
        """
        scores = self.on_others(reconstruction)
        floor = self.on_others(twin) if twin is not None else None
        if floor is None:
            return controls.negative_control(scores, self.floor)
        return controls.negative_control(scores, floor, controls.TWIN)


def _finite(value: float | None) -> float | None:
    """A value as a record holds it: None for infinity."""
    return float(value) if value is not None and np.isfinite(value) else None
