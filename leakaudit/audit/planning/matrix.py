"""From a configuration to the trainings and cells it asks for, each with the key of its result."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import product
from typing import Any

from leakaudit.audit.planning.keys import cell_key, context_of, target_key
from leakaudit.audit.planning.plans import CellPlan, Matrix, TargetPlan
from leakaudit.config import AuditConfig, PluginUse, expand, expand_stack
from leakaudit.contracts import RELEASES, AttackFacts, Capability, Defense, having
from leakaudit.data import Splits
from leakaudit.errors import ConfigError
from leakaudit.randomness import derive_seed
from leakaudit.target.split_unet import SplitUNetSpec, centralised_spec, single_site_spec
from leakaudit.target.training import TrainingSettings
from leakaudit.threat.disguises.composed import control_disguise
from leakaudit.threat.presets import Threat, threat_named

EASIEST_BATCH = 1
_GRADIENTS = having("gradient")


def build_matrix(config: AuditConfig, fingerprint: str, *folds: Splits) -> Matrix:
    """Expand lists and grids, add `identity`, references and positive controls.

    Args:
        config: the audit.
        fingerprint: of the patients; part of every key.
        *folds: who plays which part in each fold; part of the keys of that fold.
    """
    made = [_of_fold(config, fingerprint, folds, number) for number in range(len(folds))]
    return Matrix(
        targets=tuple(target for one in made for target in one.targets),
        cells=tuple(cell for one in made for cell in one.cells),
        folds=len(folds),
    )


def _of_fold(config: AuditConfig, fingerprint: str, folds: Sequence[Splits], number: int) -> Matrix:
    context = context_of(config, fingerprint, folds[number])
    planner = _Planner(config, context, fold=number + 1, folds=len(folds))
    main = [
        planner.split_target(
            cut, one.name, one.defense, seed, withheld=withheld, bottleneck=bottleneck
        )
        for cut in config.target.cut_level
        for withheld, bottleneck, one in planner.settings_met
        for seed in config.seeds
    ]
    cells = [cell for target in main for cell in planner.cells(target)]
    planner.require_made(cells)
    cells += list(planner.controls(cells))
    references = list(planner.references())
    # What the audit itself asks for is not a mere control: it comes last, and so prevails.
    targets = {plan.key: plan for plan in [*(cell.target for cell in cells), *references, *main]}
    ordered = {plan.key: targets[plan.key] for plan in main} | targets
    unique = {cell.key: cell for cell in reversed(cells)}
    return Matrix(
        targets=tuple(ordered.values()),
        cells=tuple(unique[key] for key in dict.fromkeys(cell.key for cell in cells)),
    )


class _Planner:
    def __init__(
        self, config: AuditConfig, context: dict[str, Any], *, fold: int, folds: int
    ) -> None:
        self.config = config
        self.context = context
        self.fold, self.folds = fold, folds
        stacks = config.defenses
        if not any([use.name for use in uses] == ["identity"] for uses in stacks):
            stacks = ((PluginUse(name="identity"),), *stacks)
        entries = [one for uses in stacks for one in expand_stack(uses, config.target)]
        grid = list(product(config.target.withheld_skips, config.target.bottleneck))
        # What an entry says of the architecture itself comes after what the target says for all,
        # each beside the same network without a further defense, or one would get the credit of
        # the other.
        plain = next(one for one in entries if one.name == "identity")
        self.settings_met = [
            (*point, one) for point in grid for one in entries if not one.sets_architecture
        ]
        self.settings_met += [
            (withheld, bottleneck, each)
            for one in entries
            if one.sets_architecture
            for withheld, bottleneck in product(one.target.withheld_skips, one.target.bottleneck)
            for each in (plain, one)
        ]
        self.attacks = [
            (use.name, made) for use in config.attacks for _, made in expand("attack", use)
        ]
        self.identity = next((one.name, one.defense) for one in entries if one.name == "identity")
        training = config.target.training
        # What is kept does not change the weights, but is part of the result and so of its key.
        granted = {one for name in config.threats for one in threat_named(name).capabilities}
        between = range(1, training.epochs)
        every = {epoch for epochs in config.observed_epochs for epoch in epochs}
        observed = sorted(every) if granted & _GRADIENTS else ()
        self.unkept = TrainingSettings(**training.model_dump())
        self.settings = replace(
            self.unkept,
            keep_encoders=Capability.TRANSCRIPT in granted,
            keep_networks=tuple(epoch for epoch in observed if epoch in between),
        )

    def split_target(
        self,
        cut: int,
        name: str,
        defense: Defense,
        seed: int,
        *,
        withheld: int = 0,
        bottleneck: int | None = None,
        control_only: bool = False,
    ) -> TargetPlan:
        target = self.config.target
        spec = SplitUNetSpec(
            channels=tuple(len(site) for site in target.sites),
            cut_level=cut,
            shared_skips=target.skips_at(cut, withheld),
            bottleneck=bottleneck,
            features=target.features,
            spatial_dims=self.config.data.spatial_dims,
        )
        if not spec.narrowed:  # the same network as without, so that it is trained once
            spec = replace(spec, bottleneck=None)
        return self._keyed_target(
            TargetPlan(
                kind="split",
                sites=target.sites,
                spec=spec,
                defense_name=name,
                defense=defense,
                settings=self.settings,
                seed=seed,
                releases=self.config.releases,
                control_only=control_only,
                fold=self.fold,
                folds=self.folds,
            )
        )

    def references(self) -> Iterator[TargetPlan]:
        """The undefended Split-U-Net, the centralised and every single-site training per seed."""
        wanted = self.config.references
        if wanted is None:
            return
        for seed in wanted.seeds:
            split = self.split_target(wanted.cut_level, *self.identity, seed)
            yield split
            together = (tuple(m for site in split.sites for m in site),)
            alone = replace(split, settings=self.unkept)
            yield self._keyed_target(
                replace(
                    alone, kind="centralised", sites=together, spec=centralised_spec(split.spec)
                )
            )
            for index, site in enumerate(split.sites):
                yield self._keyed_target(
                    replace(
                        alone,
                        kind="single-site",
                        sites=(site,),
                        spec=single_site_spec(split.spec, index),
                    )
                )

    def cells(
        self,
        target: TargetPlan,
        *,
        batches: tuple[int, ...] | None = None,
        control_only: bool = False,
    ) -> Iterator[CellPlan]:
        batches = self.config.gradient_batch if batches is None else batches
        for threat_name, meets in self.config.threats.items():
            threat = threat_named(threat_name)
            at_site = threat.position == "data site"
            sites: Iterable[int | None] = range(len(target.sites)) if at_site else (None,)
            alone = [name for name, one in self.attacks if name in meets and _needs_others(one)]
            if alone and len(target.sites) == 1:
                raise ConfigError(
                    f"{alone[0]} recovers what other sites hold; the target has one site alone"
                )
            for (name, attack), site in product(self.attacks, sites):
                if name not in meets or not _crosses(attack, target):
                    continue
                seen = product(
                    _seen_batches(threat, attack, batches), self._checkpoints(attack, threat)
                )
                for batch, checkpoints in seen:
                    yield self._keyed_cell(
                        CellPlan(
                            target=target,
                            attack_name=name,
                            attack=attack,
                            threat=threat,
                            site=site,
                            releases=self._seen_releases(threat),
                            gradient_batch=batch,
                            gradient_checkpoints=checkpoints,
                            round_steps=self._round_steps(attack, threat),
                            control_only=control_only,
                        )
                    )

    def require_made(self, cells: Sequence[CellPlan]) -> None:
        """Refuse an attack on one tensor that nowhere crosses, or that is all there is.

        Raises:
            ConfigError: it would be left out in silence, or pass for all that leaks.
        """
        made = {(cell.attack_name, cell.attack) for cell in cells}
        whole = {
            cell.threat.name
            for cell in cells
            if cell.attack.reads() is None and not cell.missing and cell.attack.needs() & RELEASES
        }
        for name, attack in self.attacks:
            tensor = attack.reads()
            if tensor is None:
                continue
            if (name, attack) not in made:
                raise ConfigError(
                    f"{name}: level {tensor.level} of site {tensor.site} crosses none of the "
                    f"audited cuts; the target has {len(self.config.target.sites)} sites"
                )
            alone = [one for one, met in self.config.threats.items() if name in met]
            alone = [one for one in alone if one not in whole]
            if alone:
                raise ConfigError(
                    f"{name} reads one tensor alone, which says nothing of all together; let "
                    f"{alone[0]} meet an attack that reads all of them too, such as "
                    "decoder-inversion"
                )

    def _seen_releases(self, threat: Threat) -> int:
        """Passes of a victim that the adversary keeps: one unless it is granted all of them."""
        repeated = Capability.REPEATED_RELEASES in threat.capabilities
        return self.config.releases if repeated else 1

    def _checkpoints(self, attack: AttackFacts, threat: Threat) -> tuple[tuple[int, ...], ...]:
        """Epochs whose gradients the attack reads, each set of them in a cell of its own."""
        reads = attack.needs() & threat.capabilities & _GRADIENTS
        return self.config.observed_epochs if reads else ((),)

    def _round_steps(self, attack: AttackFacts, threat: Threat) -> int | None:
        reads = attack.needs() & threat.capabilities & having("update")
        return self.config.round_steps if reads else None

    def controls(self, cells: list[CellPlan]) -> Iterator[CellPlan]:
        """Yield each attack's positive controls: undefended, same cut, plain and disguised."""
        asked = [cell for cell in cells if not cell.missing]
        wanted = {key for cell in asked for key in (cell.positive_control, cell.disguise_control)}
        for cut, seed in dict.fromkeys((c.target.spec.cut_level, c.target.seed) for c in asked):
            target = self.split_target(cut, *self.identity, seed, control_only=True)
            for cell in self.cells(target, batches=(EASIEST_BATCH,), control_only=True):
                disguised = self._keyed_cell(self._disguised(cell))
                yield from (one for one in (cell, disguised) if one.key in wanted)

    def _disguised(self, cell: CellPlan) -> CellPlan:
        """Copy a cell with its releases disguised; all cells of a seed share one disguise."""
        return replace(cell, disguise=control_disguise(derive_seed(cell.target.seed, "disguise")))

    def _keyed_target(self, plan: TargetPlan) -> TargetPlan:
        return replace(plan, key=target_key(plan, self.context))

    def _keyed_cell(self, plan: CellPlan) -> CellPlan:
        if plan.threat.victims == "inference":
            shallowest = min(self.config.target.cut_level)
            segmenter = self.split_target(shallowest, *self.identity, plan.target.seed)
            plan = replace(plan, segmenter=segmenter)
        cut = plan.target.spec.cut_level
        undefended = replace(
            plan,
            target=self.split_target(cut, *self.identity, plan.target.seed),
            gradient_batch=plan.gradient_batch and EASIEST_BATCH,
            disguise=None,
        )
        disguised = ""
        if plan.disguise is None and can_be_disguised(plan.attack.needs()):
            disguised = cell_key(self._disguised(undefended))
        return replace(
            plan,
            key=cell_key(plan),
            positive_control=cell_key(undefended),
            disguise_control=disguised,
        )


def _crosses(attack: AttackFacts, target: TargetPlan) -> bool:
    """Whether the tensor that an attack reads crosses; that of an attack on everything does."""
    tensor = attack.reads()
    if tensor is None:
        return True
    return tensor.site <= len(target.sites) and tensor.level in target.spec.crossing


def can_be_disguised(needs: frozenset[Capability]) -> bool:
    """Whether an attack with these needs reads releases, and no gradients.

    A gradient comes back from a network that was trained without the disguise.
    """
    return bool(needs & RELEASES) and not needs & _GRADIENTS


def _needs_others(attack: AttackFacts) -> bool:
    return attack.recovers == "other-site images"


def _seen_batches(
    threat: Threat, attack: AttackFacts, sizes: tuple[int, ...]
) -> tuple[int | None, ...]:
    """Sizes of the batches whose gradients the attack reads, each in a cell of its own."""
    return sizes if having("batch") & attack.needs() & threat.capabilities else (None,)
