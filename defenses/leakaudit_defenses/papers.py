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
TOMPSON_2015 = Citation(
    key="tompson2015efficient",
    authors=(
        "Tompson, Jonathan",
        "Goroshin, Ross",
        "Jain, Arjun",
        "LeCun, Yann",
        "Bregler, Christoph",
    ),
    title="Efficient object localization using convolutional networks",
    venue="IEEE Conference on Computer Vision and Pattern Recognition",
    year=2015,
    arxiv="1411.4280",
)
YANG_2020 = Citation(
    key="yang2020local",
    authors=(
        "Yang, Mengmeng",
        "Lyu, Lingjuan",
        "Zhao, Jun",
        "Zhu, Tianqing",
        "Lam, Kwok-Yan",
    ),
    title="Local differential privacy and its applications: A comprehensive survey",
    venue="arXiv",
    year=2020,
    arxiv="2008.03686",
)
AJI_2017 = Citation(
    key="aji2017sparse",
    authors=("Aji, Alham Fikri", "Heafield, Kenneth"),
    title="Sparse communication for distributed gradient descent",
    venue="Conference on Empirical Methods in Natural Language Processing",
    year=2017,
    arxiv="1704.05021",
)
ZHENG_2023 = Citation(
    key="zheng2023reducing",
    authors=("Zheng, Fei", "Chen, Chaochao", "Lyu, Lingjuan", "Yao, Binhui"),
    title="Reducing communication for split learning by randomized top-k sparsification",
    venue="International Joint Conference on Artificial Intelligence",
    year=2023,
    arxiv="2305.18469",
)
BENGIO_2013 = Citation(
    key="bengio2013estimating",
    authors=("Bengio, Yoshua", "Leonard, Nicholas", "Courville, Aaron"),
    title=(
        "Estimating or propagating gradients through stochastic neurons for conditional computation"
    ),
    venue="arXiv",
    year=2013,
    arxiv="1308.3432",
)
