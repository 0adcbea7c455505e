"""The papers behind the attacks."""

from __future__ import annotations

from leakaudit.api import Citation

HE_2019 = Citation(
    key="he2019model",
    authors=("He, Zecheng", "Zhang, Tianwei", "Lee, Ruby B."),
    title="Model inversion attacks against collaborative inference",
    venue="Annual Computer Security Applications Conference (ACSAC)",
    year=2019,
    doi="10.1145/3359789.3359824",
)
RUDIN_1992 = Citation(
    key="rudin1992nonlinear",
    authors=("Rudin, Leonid I.", "Osher, Stanley", "Fatemi, Emad"),
    title="Nonlinear total variation based noise removal algorithms",
    venue="Physica D: Nonlinear Phenomena 60",
    year=1992,
    doi="10.1016/0167-2789(92)90242-F",
)
ZHU_2019 = Citation(
    key="zhu2019deep",
    authors=("Zhu, Ligeng", "Liu, Zhijian", "Han, Song"),
    title="Deep leakage from gradients",
    venue="Advances in Neural Information Processing Systems",
    year=2019,
    arxiv="1906.08935",
)
GEIPING_2020 = Citation(
    key="geiping2020inverting",
    authors=("Geiping, Jonas", "Bauermeister, Hartmut", "Dröge, Hannah", "Moeller, Michael"),
    title="Inverting gradients - How easy is it to break privacy in federated learning?",
    venue="Advances in Neural Information Processing Systems",
    year=2020,
    arxiv="2003.14053",
)
YIN_2021 = Citation(
    key="yin2021see",
    authors=(
        "Yin, Hongxu",
        "Mallya, Arun",
        "Vahdat, Arash",
        "Alvarez, Jose M.",
        "Kautz, Jan",
        "Molchanov, Pavlo",
    ),
    title="See through gradients: Image batch recovery via GradInversion",
    venue="IEEE/CVF Conference on Computer Vision and Pattern Recognition",
    year=2021,
    arxiv="2104.07586",
)
HATAMIZADEH_2022 = Citation(
    key="hatamizadeh2022gradient",
    authors=("Hatamizadeh, Ali", "others"),
    title="Do gradient inversion attacks make federated learning unsafe?",
    venue="IEEE Transactions on Medical Imaging",
    year=2022,
    arxiv="2202.06924",
)
MCMAHAN_2017 = Citation(
    key="mcmahan2017communication",
    authors=(
        "McMahan, H. Brendan",
        "Moore, Eider",
        "Ramage, Daniel",
        "Hampson, Seth",
        "Agüera y Arcas, Blaise",
    ),
    title="Communication-efficient learning of deep networks from decentralized data",
    venue="International Conference on Artificial Intelligence and Statistics",
    year=2017,
    arxiv="1602.05629",
)
BONNEEL_2015 = Citation(
    key="bonneel2015sliced",
    authors=("Bonneel, Nicolas", "Rabin, Julien", "Peyré, Gabriel", "Pfister, Hanspeter"),
    title="Sliced and Radon Wasserstein barycenters of measures",
    venue="Journal of Mathematical Imaging and Vision",
    year=2015,
    doi="10.1007/s10851-014-0506-3",
)
JIN_2021 = Citation(
    key="jin2021cafe",
    authors=(
        "Jin, Xiao",
        "Chen, Pin-Yu",
        "Hsu, Chia-Yi",
        "Yu, Chia-Mu",
        "Chen, Tianyi",
    ),
    title="CAFE: Catastrophic data leakage in vertical federated learning",
    venue="Advances in Neural Information Processing Systems",
    year=2021,
    arxiv="2110.15122",
)
WU_2023 = Citation(
    key="wu2023learning",
    authors=("Wu, Ruihan", "Chen, Xiangyu", "Guo, Chuan", "Weinberger, Kilian Q."),
    title=(
        "Learning to invert: Simple adaptive attacks for gradient inversion in federated learning"
    ),
    venue="Conference on Uncertainty in Artificial Intelligence",
    year=2023,
    arxiv="2210.10880",
)
SDAR_2023 = Citation(
    key="zhu2023passive",
    authors=(
        "Zhu, Xiaochen",
        "Luo, Xinjian",
        "Wu, Yuncheng",
        "Jiang, Yangfan",
        "Xiao, Xiaokui",
        "Ooi, Beng Chin",
    ),
    title="Passive inference attacks on split learning via adversarial regularization",
    venue="Network and Distributed System Security Symposium",
    year=2025,
    arxiv="2310.10483",
)
FORA_2024 = Citation(
    key="xu2024stealthy",
    authors=(
        "Xu, Xiaoyang",
        "Yang, Mengda",
        "Yi, Wenzhe",
        "Li, Ziang",
        "Wang, Juan",
        "Hu, Hongxin",
        "Zhuang, Yong",
        "Liu, Yaxin",
    ),
    title="A stealthy wrongdoer: Feature-oriented reconstruction attack against split learning",
    venue="IEEE/CVF Conference on Computer Vision and Pattern Recognition",
    year=2024,
    arxiv="2405.04115",
)
ERDOGAN_2022 = Citation(
    key="erdogan2022unsplit",
    authors=("Erdoğan, Ege", "Küpçü, Alptekin", "Çiçek, A. Ercüment"),
    title=(
        "UnSplit: Data-oblivious model inversion, model stealing, and label inference attacks "
        "against split learning"
    ),
    venue="Workshop on Privacy in the Electronic Society",
    year=2022,
    doi="10.1145/3559613.3563201",
    arxiv="2108.09033",
)
PASQUINI_2021 = Citation(
    key="pasquini2021unleashing",
    authors=("Pasquini, Dario", "Ateniese, Giuseppe", "Bernaschi, Massimo"),
    title="Unleashing the tiger: Inference attacks on split learning",
    venue="ACM SIGSAC Conference on Computer and Communications Security",
    year=2021,
    arxiv="2012.02670",
)
CARLINI_2022 = Citation(
    key="carlini2022membership",
    authors=(
        "Carlini, Nicholas",
        "Chien, Steve",
        "Nasr, Milad",
        "Song, Shuang",
        "Terzis, Andreas",
        "Tramèr, Florian",
    ),
    title="Membership inference attacks from first principles",
    venue="IEEE Symposium on Security and Privacy",
    year=2022,
    arxiv="2112.03570",
)
HAYES_2023 = Citation(
    key="hayes2023bounding",
    authors=("Hayes, Jamie", "Mahloujifar, Saeed", "Balle, Borja"),
    title="Bounding training data reconstruction in DP-SGD",
    venue="Advances in Neural Information Processing Systems",
    year=2023,
    arxiv="2302.07225",
)
