"""The papers behind the defenses."""

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
VEPAKOMMA_2020 = Citation(
    key="vepakomma2020nopeek",
    authors=("Vepakomma, Praneeth", "Singh, Abhishek", "Gupta, Otkrist", "Raskar, Ramesh"),
    title="NoPeek: Information leakage reduction to share activations in distributed deep learning",
    venue="IEEE International Conference on Data Mining Workshops",
    year=2020,
    arxiv="2008.09161",
)
SZEKELY_2007 = Citation(
    key="szekely2007measuring",
    authors=("Székely, Gábor J.", "Rizzo, Maria L.", "Bakirov, Nail K."),
    title="Measuring and testing dependence by correlation of distances",
    venue="Annals of Statistics 35",
    year=2007,
    doi="10.1214/009053607000000505",
)
XIAO_2020 = Citation(
    key="xiao2020adversarial",
    authors=("Xiao, Taihong", "Tsai, Yi-Hsuan", "Sohn, Kihyuk", "others"),
    title="Adversarial learning of privacy-preserving and task-oriented representations",
    venue="AAAI Conference on Artificial Intelligence",
    year=2020,
    arxiv="1911.10143",
)
LI_2021 = Citation(
    key="li2021deepobfuscator",
    authors=("Li, Ang", "Guo, Jiayi", "Yang, Huanrui", "others"),
    title=(
        "DeepObfuscator: Obfuscating intermediate representations with privacy-preserving "
        "adversarial learning on smartphones"
    ),
    venue="International Conference on Internet-of-Things Design and Implementation",
    year=2021,
    arxiv="1909.04126",
)
LI_2022 = Citation(
    key="li2022label",
    authors=("Li, Oscar", "Sun, Jiankai", "Yang, Xin", "others"),
    title="Label leakage and protection in two-party split learning",
    venue="International Conference on Learning Representations",
    year=2022,
    arxiv="2102.08504",
)
ABADI_2016 = Citation(
    key="abadi2016deep",
    authors=("Abadi, Martín", "Chu, Andy", "Goodfellow, Ian", "others"),
    title="Deep learning with differential privacy",
    venue="ACM SIGSAC Conference on Computer and Communications Security",
    year=2016,
    arxiv="1607.00133",
)
YOUSEFPOUR_2021 = Citation(
    key="yousefpour2021opacus",
    authors=("Yousefpour, Ashkan", "Shilov, Igor", "Sablayrolles, Alexandre", "others"),
    title="Opacus: User-friendly differential privacy library in PyTorch",
    venue="arXiv",
    year=2021,
    arxiv="2109.12298",
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
