"""The papers behind the defences."""

from __future__ import annotations

from leakaudit.api import Citation

SRIVASTAVA_2014 = Citation(
    key="srivastava2014dropout",
    authors=(
        "Srivastava, Nitish",
        "Hinton, Geoffrey",
        "Krizhevsky, Alex",
        "Sutskever, Ilya",
        "Salakhutdinov, Ruslan",
    ),
    title="Dropout: A simple way to prevent neural networks from overfitting",
    venue="Journal of Machine Learning Research 15",
    year=2014,
)
DWORK_2006 = Citation(
    key="dwork2006calibrating",
    authors=("Dwork, Cynthia", "McSherry, Frank", "Nissim, Kobbi", "Smith, Adam"),
    title="Calibrating noise to sensitivity in private data analysis",
    venue="Theory of Cryptography Conference",
    year=2006,
)
BALLE_2018 = Citation(
    key="balle2018improving",
    authors=("Balle, Borja", "Wang, Yu-Xiang"),
    title=(
        "Improving the Gaussian mechanism for differential privacy: Analytical calibration and "
        "optimal denoising"
    ),
    venue="International Conference on Machine Learning",
    year=2018,
    arxiv="1805.06530",
)
TITCOMBE_2021 = Citation(
    key="titcombe2021practical",
    authors=("Titcombe, Tom", "others"),
    title="Practical defences against model inversion attacks for split neural networks",
    venue="arXiv",
    year=2021,
    arxiv="2104.05743",
)
