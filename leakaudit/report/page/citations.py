"""The references of the attacks that ran, of the defenses and of the method, also as BibTeX."""

from __future__ import annotations

from leakaudit.records import Citation, ReportRecord

_CORE = (
    Citation(
        key="roth2022splitunet",
        authors=(
            "Roth, Holger R.",
            "Hatamizadeh, Ali",
            "Xu, Ziyue",
            "Zhao, Can",
            "Li, Wenqi",
            "Myronenko, Andriy",
            "Xu, Daguang",
        ),
        title=(
            "Split-U-Net: Preventing data leakage in split learning for collaborative multi-modal "
            "brain tumor segmentation"
        ),
        venue="Distributed, Collaborative, and Federated Learning (DeCaF)",
        year=2022,
        doi="10.1007/978-3-031-18523-6_5",
        arxiv="2208.10553",
    ),
    Citation(
        key="wang2004image",
        authors=("Wang, Zhou", "Bovik, Alan C.", "Sheikh, Hamid R.", "Simoncelli, Eero P."),
        title="Image quality assessment: From error visibility to structural similarity",
        venue="IEEE Transactions on Image Processing 13",
        year=2004,
        doi="10.1109/TIP.2003.819861",
    ),
)


def citations(record: ReportRecord) -> tuple[Citation, ...]:
    """What was audited and measured, then each attack that ran and each defense, once."""
    ran = {cell.attack_name for cell in record.cells if cell.state.was_tried}
    found = {citation.key: citation for citation in _CORE}
    for plugin in record.plugins:
        if plugin.kind != "attack" or plugin.name in ran:
            found |= {citation.key: citation for citation in plugin.citations}
    return tuple(found.values())


def bibtex(record: ReportRecord) -> str:
    """The same as a BibTeX file."""
    return "\n\n".join(citation.bibtex for citation in citations(record)) + "\n"
