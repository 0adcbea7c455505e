"""An attack as everybody but its own process knows it: a name with parameters, and facts about it.

All of it is plain data. An attack's code runs where no patient is; the facts are asked there, once
(`leakaudit.asking`), and checked when they arrive.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import MISSING, dataclass, field, fields
from typing import TYPE_CHECKING, Annotated, Any, final

from pydantic import ConfigDict, Field, StringConstraints, TypeAdapter, ValidationError

from leakaudit.capabilities import Capability
from leakaudit.contracts.messages import Recovers
from leakaudit.errors import PluginError
from leakaudit.records import Citation, Configured, Plain, ReleasedTensor
from leakaudit.visible import made_visible

if TYPE_CHECKING:
    from leakaudit.contracts.attack import Attack

_Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,99}$")]
_Module = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_.]{0,299}$")]
_Words = Annotated[str, StringConstraints(max_length=200)]
_Text = Annotated[str, StringConstraints(max_length=20_000)]
_Count = Annotated[int, Field(ge=0, le=10**15)]
_LONGEST = 1_000_000
_INFINITE = ConfigDict(ser_json_inf_nan="constants")


@final
@dataclass(frozen=True, kw_only=True)
class AttackUse:
    """An attack as it travels.

    Args:
        name: of the entry point.
        point: what the entry point leads to, as ``package.module:Class``.
        parameters: as the audit file gives them.
    """

    name: str
    point: str
    parameters: tuple[tuple[str, Plain], ...] = ()


@final
@dataclass(frozen=True, kw_only=True)
class Work:
    """The work of one run of an attack, by which ``leakaudit plan`` estimates its time.

    Args:
        passes: how often the samples go through all encoders and back, training included.
        samples: slices in each of these passes; None for the victims' batches, and for the
            candidates of an attack that recovers identities.
        examples: own slices that the attack has trained on at each observed checkpoint.
        batches: own batches of the observed size that it has trained on there.
    """

    passes: _Count = 100
    samples: _Count | None = None
    examples: _Count = 0
    batches: _Count = 0


@final
@dataclass(frozen=True, kw_only=True)
class Parameter:
    """One configurable field of an attack.

    Args:
        name: of the field.
        required: whether it has no default.
        default: its default.
    """

    __pydantic_config__ = _INFINITE
    name: _Name
    required: bool
    default: Plain = None


@final
@dataclass(frozen=True, kw_only=True)
class AttackKind:
    """The facts about an attack that hold for every configuration.

    Args:
        class_name: of its class.
        module: where that is.
        doc: its docstring.
        requires: what it needs in every configuration.
        recovers: what comes back.
        nist: its class in NIST AI 100-2.
        citations: the papers.
        parameters: its configurable fields, in order.
        measures: whether it believes no hint of a defense that own patients do not bear out.
    """

    class_name: _Name
    module: _Module
    doc: _Text
    requires: frozenset[Capability]
    recovers: Recovers
    nist: _Words
    citations: tuple[Citation, ...]
    parameters: Annotated[tuple[Parameter, ...], Field(max_length=200)]
    measures: bool = False

    @classmethod
    def of(cls, attack: type[Attack]) -> AttackKind:
        """Ask the class, in the process in which its code may run.

        Raises:
            PluginError: a default is not a plain value.
        """
        this: Any = attack
        return cls(
            class_name=attack.__name__,
            module=attack.__module__,
            doc=inspect.getdoc(attack) or "",
            requires=frozenset(attack.requires),
            recovers=attack.recovers,
            nist=attack.nist,
            citations=tuple(attack.citations),
            parameters=tuple(
                Parameter(
                    name=one.name,
                    required=one.default is MISSING and one.default_factory is MISSING,
                    default=_default_of(one, attack),
                )
                for one in fields(this)
                if not one.metadata.get("fitted")
            ),
            measures=bool(attack.measures),
        )

    @property
    def summary(self) -> str:
        """First line of the docstring, without its markup."""
        return made_visible(self.doc.split("\n", 1)[0].replace("``", ""), "line")

    @property
    def has_defaults(self) -> bool:
        """Whether it can be made without any parameter."""
        return not any(one.required for one in self.parameters)

    def facts(self, needs: frozenset[Capability] | None = None) -> tuple[str, ...]:
        """Return lines on what comes back, what the attack knows (``needs``), and its papers."""
        knows = ", ".join(sorted(self.requires if needs is None else needs))
        papers = ", ".join(citation.short for citation in self.citations)
        return (
            f"recovers: {self.recovers} ({made_visible(self.nist, 'line')} in NIST AI 100-2)",
            f"knows: {knows}",
            *([f"after: {made_visible(papers, 'line')}"] if papers else []),
        )


@final
@dataclass(frozen=True, kw_only=True, repr=False)
class AttackFacts:
    """The public facts about a configured attack; it answers as an `Attack` would.

    Args:
        kind: what is true of every configuration.
        configuration: every field with its value, in order.
        needed: what this configuration requires.
        tensor: the one released tensor that it reads; None for all that it is granted.
        learned: whether it must be compared with the same attack trained on shuffled pairs.
        work: of one run.
        use: as it travels; None for one that nobody declared.
    """

    __pydantic_config__ = _INFINITE
    kind: AttackKind
    configuration: Annotated[tuple[tuple[_Name, Plain], ...], Field(max_length=200)]
    needed: frozenset[Capability]
    tensor: ReleasedTensor | None
    learned: bool
    work: Work
    use: AttackUse | None = field(default=None, compare=False)

    @classmethod
    def of(cls, attack: Attack) -> AttackFacts:
        """Ask the attack, in the process in which its code may run.

        Raises:
            PluginError: a configured value is not a plain one.
        """
        this: Any = attack
        kind = AttackKind.of(type(attack))
        return cls(
            kind=kind,
            configuration=tuple(
                (one.name, plain_value(getattr(this, one.name), f"{kind.class_name}.{one.name}"))
                for one in kind.parameters
            ),
            needed=frozenset(attack.needs()),
            tensor=attack.reads(),
            learned=bool(attack.learns()),
            work=attack.work(),
        )

    @property
    def recovers(self) -> Recovers:
        """The kind of result that comes back."""
        return self.kind.recovers

    @property
    def measures(self) -> bool:
        """Whether it believes no hint of a defense that own patients do not bear out."""
        return self.kind.measures

    @property
    def declared_use(self) -> AttackUse:
        """The attack as it is sent to its process.

        Raises:
            PluginError: nobody declared it, so no other process can make it.
        """
        if self.use is None:
            raise PluginError(f"{self!r} is not an installed attack; declare it as an entry point")
        return self.use

    def needs(self) -> frozenset[Capability]:
        """The capabilities that this configuration requires."""
        return self.needed

    def reads(self) -> ReleasedTensor | None:
        """The one released tensor that it reads; None for all that it is granted."""
        return self.tensor

    def learns(self) -> bool:
        """Whether it must be compared with the same attack trained on shuffled pairs."""
        return self.learned

    def value(self, name: str, default: Any = None) -> Any:
        """A configured value, or ``default`` where there is no such field."""
        return dict(self.configuration).get(name, default)

    def describe(self) -> str:
        """Describe the attack: what it does, recovers and knows, its papers, its configuration.

        Returns:
            The docstring, a line for each of its facts, a line for each configured value.
        """
        values = [f"  {name}: {value!r}" for name, value in self.configuration]
        does = made_visible(self.kind.doc.replace("``", ""))
        parts = [does, "", *self.kind.facts(self.needed)]
        return "\n".join([*parts, "", "configuration:", *(values or ["  none"])])

    @property
    def configured(self) -> Configured:
        """Its class and every configured value, as a record holds them."""
        return Configured.of(self.kind.class_name, dict(self.configuration))

    def __repr__(self) -> str:
        """The text that the attack itself has as its repr."""
        return str(self.configured)


def as_text(facts: AttackKind | AttackFacts) -> str:
    """Facts as JSON, to be sent by the attack's process."""
    if isinstance(facts, AttackKind):
        return _KIND.dump_json(facts).decode()
    return _FACTS.dump_json(facts).decode()


def kind_from(text: str) -> AttackKind:
    """Read a kind that `as_text` wrote, checked field by field.

    Raises:
        PluginError: something is missing, too long or of another type.
    """
    with _refused(text):
        return _KIND.validate_json(text, strict=True)


def facts_from(text: str) -> AttackFacts:
    """Read the facts of a configured attack, checked field by field.

    Raises:
        PluginError: as `kind_from`, or it needs less than every configuration requires.
    """
    with _refused(text):
        found: AttackFacts = _FACTS.validate_json(text, strict=True)
    missing = found.kind.requires - found.needed
    if missing:
        raise PluginError(f"needs() leaves out {', '.join(sorted(missing))}, which it requires")
    return found


@contextmanager
def _refused(text: str) -> Iterator[None]:
    if len(text) > _LONGEST:
        raise PluginError(f"it says {len(text)} letters of itself; {_LONGEST} are too many")
    try:
        yield
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise PluginError(made_visible(f"{where[:200]}: {first['msg'][:200]}", "line")) from error


def plain_value(value: object, what: str) -> Plain:
    """``value`` with lists as tuples.

    Raises:
        PluginError: it is neither a number, text, true, false, nothing, nor a short list of lists.
    """
    found: Plain = _plain(value, what, 2)
    return found


def _plain(value: object, what: str, depth: int) -> Any:
    if value is None or type(value) in (bool, int, float, str):
        return value
    if isinstance(value, list | tuple) and depth:
        return tuple(_plain(each, what, depth - 1) for each in value)
    raise PluginError(
        f"{what} is a {type(value).__name__}; an attack is configured by numbers, text, true, "
        "false, null and lists of them, which can be sent to the process it runs in"
    )


def _default_of(one: Any, attack: type[Attack]) -> Plain:
    if one.default is not MISSING:
        return plain_value(one.default, f"{attack.__name__}.{one.name}")
    if one.default_factory is not MISSING:
        return plain_value(one.default_factory(), f"{attack.__name__}.{one.name}")
    return None


_KIND: TypeAdapter[AttackKind] = TypeAdapter(AttackKind)
_FACTS: TypeAdapter[AttackFacts] = TypeAdapter(AttackFacts)
