"""Matrix products, linear layers, embeddings and distances."""

from tests.errors.table import Bad

BAD = [
    Bad(
        "linear",
        "F.linear(x(2, 3), x(5, 4))",
        ValueError,
        (
            "linear: input (..., in) = (2, 3) has 3 features, but weight (out, in) = (5, 4) expects 4; make the layer with "
            "in_features=3"
        ),
    ),
    Bad(
        "linear",
        "F.linear(x(2, 3, 4, 4), x(5, 48))",
        ValueError,
        (
            "linear: input (..., in) = (2, 3, 4, 4) has 4 features, but weight (out, in) = (5, 48) expects 48; flatten each "
            "sample first: 3 * 4 * 4 = 48, input.flatten(1)"
        ),
    ),
    Bad(
        "linear",
        "F.linear(x(2, 3, 4, 4), x(5, 100))",
        ValueError,
        (
            "linear: input (..., in) = (2, 3, 4, 4) has 4 features, but weight (out, in) = (5, 100) expects 100; flattened, "
            "with input.flatten(1), each sample has 48"
        ),
    ),
    Bad(
        "linear",
        "F.linear(x(2, 3), x(3))",
        ValueError,
        "linear: weight has shape (3,), but must be a matrix (out, in)",
    ),
    Bad(
        "linear",
        "F.linear(x(), x(5, 3))",
        ValueError,
        "linear: input (..., in) = () has no axis, but weight (out, in) = (5, 3) expects 3",
    ),
    Bad(
        "linear",
        "F.linear(x(2, 3), x(5, 3), x(3))",
        ValueError,
        "linear: bias has shape (3,), but weight (out, in) = (5, 3) has 5 outputs, so it must be (5,)",
    ),
    Bad(
        "linear",
        "F.linear(x64(2, 3), x(5, 3))",
        TypeError,
        "linear: input is float64, but weight is float32; convert one of them (.float(), .double(), or module.double())",
    ),
    Bad(
        "linear",
        "F.linear(labels(2, 3), x(5, 3))",
        TypeError,
        "linear: input is int64 (2, 3), but must be floating; convert it with .float()",
    ),
    Bad(
        "matmul",
        "minivision.matmul(x(2, 3), x(4, 5))",
        ValueError,
        ("matmul: the inner lengths differ: 3 of input (2, 3) against 4 of other (4, 5); (..., n, m) @ (..., m, k) is needed"),
    ),
    Bad(
        "matmul",
        "minivision.matmul(x(2, 3), x())",
        ValueError,
        "matmul: both operands need at least one axis, but have shapes (2, 3) and (); use * for scalars",
    ),
    Bad(
        "matmul",
        "minivision.matmul(x(2, 4, 3), x(5, 3, 4))",
        ValueError,
        ("matmul: the batch axes of input (2, 4, 3) and other (5, 3, 4) do not broadcast: 2 against 5, which must be equal or 1"),
    ),
    Bad(
        "matmul",
        "minivision.matmul(x(3), x(4))",
        ValueError,
        "matmul: the inner lengths differ: 3 of input (3,) against 4 of other (4,); (..., n, m) @ (..., m, k) is needed",
    ),
    Bad(
        "matmul",
        "minivision.matmul(x(2, 3), None)",
        TypeError,
        "matmul: other is None, but must be a tensor (or an array, or numbers)",
    ),
    Bad(
        "mm",
        "minivision.mm(x(2, 3), x(2, 3))",
        ValueError,
        "mm: the inner lengths differ: 3 of input (2, 3) against 2 of mat2 (2, 3); (..., n, m) @ (..., m, k) is needed",
    ),
    Bad(
        "mm",
        "minivision.mm(x(1, 2, 3), x(3, 4))",
        ValueError,
        (
            "mm: input has shape (1, 2, 3) and mat2 (3, 4), but they must have 2 axes, (n, m) and (m, k); use matmul for "
            "other cases"
        ),
    ),
    Bad(
        "mm",
        "minivision.mm(x(3), x(3, 4))",
        ValueError,
        ("mm: input has shape (3,) and mat2 (3, 4), but they must have 2 axes, (n, m) and (m, k); use matmul for other cases"),
    ),
    Bad(
        "bmm",
        "minivision.bmm(x(2, 3), x(3, 4))",
        ValueError,
        (
            "bmm: input has shape (2, 3) and mat2 (3, 4), but they must have 3 axes, (N, n, m) and (N, m, k); use matmul for "
            "other cases"
        ),
    ),
    Bad(
        "bmm",
        "minivision.bmm(x(2, 3, 4), x(2, 5, 4))",
        ValueError,
        ("bmm: the inner lengths differ: 4 of input (2, 3, 4) against 5 of mat2 (2, 5, 4); (..., n, m) @ (..., m, k) is needed"),
    ),
    Bad(
        "bmm",
        "minivision.bmm(x(2, 3, 4), x(3, 4, 5))",
        ValueError,
        ("bmm: the batches differ: 2 matrices of input (2, 3, 4) against 3 of mat2 (3, 4, 5); matmul broadcasts a batch of 1"),
    ),
    Bad(
        "bilinear",
        "F.bilinear(x(2, 3), x(2, 4), x(5, 4, 3))",
        ValueError,
        (
            "bilinear: input1 has shape (2, 3), input2 (2, 4) and weight (out, in1, in2) = (5, 4, 3); the last axes must have "
            "lengths in1 and in2, the others must agree"
        ),
    ),
    Bad(
        "bilinear",
        "F.bilinear(x(2, 3), x(1, 4), x(5, 3, 4))",
        ValueError,
        (
            "bilinear: input1 has shape (2, 3), input2 (1, 4) and weight (out, in1, in2) = (5, 3, 4); the last axes must have "
            "lengths in1 and in2, the others must agree"
        ),
    ),
    Bad(
        "bilinear",
        "F.bilinear(x(2, 3), x(2, 4), x(3, 4))",
        ValueError,
        "bilinear: weight has shape (3, 4), but must be (out, in1, in2)",
    ),
    Bad(
        "bilinear",
        "F.bilinear(x(2, 3), x(2, 4), x(5, 3, 4), x(3))",
        ValueError,
        "bilinear: bias has shape (3,), but weight (out, in1, in2) = (5, 3, 4) has 5 outputs, so it must be (5,)",
    ),
    Bad(
        "embedding",
        "F.embedding(labels(2) + 7, x(7, 3))",
        IndexError,
        "embedding: input holds 7, which is not one of the rows 0 .. 6 of weight (7, 3)",
    ),
    Bad(
        "embedding",
        "F.embedding(labels(2) - 1, x(7, 3))",
        IndexError,
        "embedding: input holds -1, which is not one of the rows 0 .. 6 of weight (7, 3)",
    ),
    Bad(
        "embedding",
        "F.embedding(x(2), x(7, 3))",
        TypeError,
        "embedding: input is float32 (2,), but must hold row numbers; convert it with .long()",
    ),
    Bad(
        "embedding",
        "F.embedding(labels(2), x(7))",
        ValueError,
        "embedding: weight has shape (7,), but must be a table (V, D)",
    ),
    Bad(
        "embedding",
        "F.embedding(labels(2), x(7, 3), padding_idx=7)",
        ValueError,
        "embedding: padding_idx=7 is not one of the rows -7 .. 6 of weight (7, 3)",
    ),
    Bad(
        "embedding",
        "F.embedding(labels(2), x(7, 3), padding_idx='last')",
        TypeError,
        "embedding: padding_idx='last' must be an int, not str",
    ),
    Bad(
        "embedding",
        "F.embedding(labels(2), x(7, 3), max_norm=-1)",
        ValueError,
        "embedding: max_norm=-1 must be positive",
    ),
    Bad(
        "embedding",
        "F.embedding(labels(2), x(7, 3), max_norm=1, norm_type=0)",
        ValueError,
        "embedding: norm_type=0 would take the root of order 0; use 1 for sums, 2 for lengths",
    ),
    Bad(
        "embedding",
        "F.embedding(labels(2), x(7, 3), sparse='no')",
        TypeError,
        "embedding: sparse='no' must be True or False, not str",
    ),
    Bad(
        "normalize",
        "F.normalize(x(2, 3), dim=2)",
        IndexError,
        "normalize: dim 2 is out of range for shape (2, 3), which has 2 axes; legal are -2 .. 1",
    ),
    Bad(
        "normalize",
        "F.normalize(x(2, 3), p='2')",
        TypeError,
        "normalize: p='2' must be a number, not str",
    ),
    Bad(
        "normalize",
        "F.normalize(x(2, 3), eps=-1)",
        ValueError,
        "normalize: eps=-1 must not be negative",
    ),
    Bad(
        "normalize",
        "F.normalize(labels(2, 3))",
        TypeError,
        "normalize: input is int64 (2, 3), but must be floating; convert it with .float()",
    ),
    Bad(
        "cosine_similarity",
        "F.cosine_similarity(x(2, 3), x(2, 4))",
        ValueError,
        ("cosine_similarity: x1 (2, 3) and x2 (2, 4) do not broadcast: 3 against 4 at axis -1, where lengths must be equal or 1"),
    ),
    Bad(
        "cosine_similarity",
        "F.cosine_similarity(x(2, 3), x(2, 3), dim=2)",
        IndexError,
        "cosine_similarity: dim 2 is out of range for shape (2, 3), which has 2 axes; legal are -2 .. 1",
    ),
    Bad(
        "cosine_similarity",
        "F.cosine_similarity(x(2, 3), x64(2, 3))",
        TypeError,
        ("cosine_similarity: x1 is float32, but x2 is float64; convert one of them (.float(), .double(), or module.double())"),
    ),
    Bad(
        "cosine_similarity",
        "F.cosine_similarity(x(2, 3), x(2, 3), eps=None)",
        TypeError,
        "cosine_similarity: eps=None must be a number",
    ),
    Bad(
        "pairwise_distance",
        "F.pairwise_distance(x(2, 3), x(4, 3))",
        ValueError,
        ("pairwise_distance: x1 (2, 3) and x2 (4, 3) do not broadcast: 2 against 4 at axis -2, where lengths must be equal or 1"),
    ),
    Bad(
        "pairwise_distance",
        "F.pairwise_distance(x(), x())",
        ValueError,
        "pairwise_distance: x1 and x2 have no axes; give vectors (D,) or (N, D)",
    ),
    Bad(
        "pairwise_distance",
        "F.pairwise_distance(x(2, 3), x(2, 3), p=None)",
        TypeError,
        "pairwise_distance: p=None must be a number",
    ),
    Bad(
        "pairwise_distance",
        "F.pairwise_distance(x(2, 3), x(2, 3), keepdim=1)",
        TypeError,
        "pairwise_distance: keepdim=1 must be True or False, not int",
    ),
]
