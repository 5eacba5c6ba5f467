"""Losses with a margin, likelihoods, attention, root mean square, one-hot vectors and bags."""

from tests.errors.table import Bad

BAD = [
    Bad(
        "margin_ranking_loss",
        "F.margin_ranking_loss(x(4), x(4, 1), x(4))",
        ValueError,
        "margin_ranking_loss: input1 has shape (4,), input2 (4, 1) and target (4,); they must have equally many axes",
    ),
    Bad(
        "margin_ranking_loss",
        "F.margin_ranking_loss(x(4), x(3), x(4))",
        ValueError,
        "margin_ranking_loss: input1 (4,) and input2 (3,) and target (4,) do not broadcast: 4 against 3 against 4 at "
        "axis -1, where lengths must be equal or 1",
    ),
    Bad(
        "margin_ranking_loss",
        "F.margin_ranking_loss(x(4), x64(4), x(4))",
        TypeError,
        "margin_ranking_loss: input1 is float32, but input2 is float64; convert one of them (.float(), .double(), or "
        "module.double())",
    ),
    Bad(
        "margin_ranking_loss",
        "F.margin_ranking_loss(x(4), x(4), mask(4))",
        TypeError,
        "margin_ranking_loss: target is bool (4,), but must hold 1 and -1; write 2 * target.float() - 1",
    ),
    Bad(
        "margin_ranking_loss",
        "F.margin_ranking_loss(x(4), x(4), x(4), margin='1')",
        TypeError,
        "margin_ranking_loss: margin='1' must be a number, not str",
    ),
    Bad(
        "margin_ranking_loss",
        "F.margin_ranking_loss(x(4), x(4), x(4), reduction='average')",
        ValueError,
        "margin_ranking_loss: reduction='average' is unknown; use 'mean', 'sum' or 'none'",
    ),
    Bad(
        "hinge_embedding_loss",
        "F.hinge_embedding_loss(x(4, 3), x(4))",
        ValueError,
        "hinge_embedding_loss: input has shape (4, 3), but target has (4,); they must be equal",
    ),
    Bad(
        "hinge_embedding_loss",
        "F.hinge_embedding_loss(labels(4), x(4))",
        TypeError,
        "hinge_embedding_loss: input is int64 (4,), but must be floating; convert it with .float()",
    ),
    Bad(
        "cosine_embedding_loss",
        "F.cosine_embedding_loss(x(4, 3), x(4, 3), x(4, 1))",
        ValueError,
        "cosine_embedding_loss: input1 (4, 3), input2 (4, 3) and target (4, 1) must be (N, D), (N, D) and (N,), or "
        "(D,), (D,) and ()",
    ),
    Bad(
        "cosine_embedding_loss",
        "F.cosine_embedding_loss(x(4, 3), x(4, 2), x(4))",
        ValueError,
        "cosine_embedding_loss: input1 (4, 3) and input2 (4, 2) do not broadcast: 3 against 2 at axis -1, where "
        "lengths must be equal or 1",
    ),
    Bad(
        "cosine_embedding_loss",
        "F.cosine_embedding_loss(x(4, 3), x(4, 3), x(3))",
        ValueError,
        "cosine_embedding_loss: the cosines (4,) and target (3,) do not broadcast: 4 against 3 at axis -1, where "
        "lengths must be equal or 1",
    ),
    Bad(
        "triplet_margin_loss",
        "F.triplet_margin_loss(x(4, 3), x(4, 3), x(3))",
        ValueError,
        "triplet_margin_loss: anchor has shape (4, 3), positive (4, 3) and negative (3,); they must have equally many axes",
    ),
    Bad(
        "triplet_margin_loss",
        "F.triplet_margin_loss(x(4, 3), x(4, 3), x(5, 3))",
        ValueError,
        "triplet_margin_loss: anchor (4, 3) and positive (4, 3) and negative (5, 3) do not broadcast: 4 against 4 "
        "against 5 at axis -2, where lengths must be equal or 1",
    ),
    Bad(
        "triplet_margin_loss",
        "F.triplet_margin_loss(x(4, 3), x(4, 3), x(4, 3), margin=0)",
        ValueError,
        "triplet_margin_loss: margin=0 must be positive, or equal distances would do",
    ),
    Bad(
        "triplet_margin_with_distance_loss",
        "F.triplet_margin_with_distance_loss(x(4, 3), x(4, 3), x(4, 3), margin=-1.0)",
        ValueError,
        "triplet_margin_with_distance_loss: margin=-1.0 must be positive, or equal distances would do",
    ),
    Bad(
        "triplet_margin_with_distance_loss",
        "F.triplet_margin_with_distance_loss(x(4, 3), x(4, 3), x(4, 3), distance_function='cosine')",
        TypeError,
        "triplet_margin_with_distance_loss: distance_function='cosine' must be a function of two tensors",
    ),
    Bad(
        "soft_margin_loss",
        "F.soft_margin_loss(x(4), x(4, 1))",
        ValueError,
        "soft_margin_loss: input has shape (4,), but target has (4, 1); they must be equal",
    ),
    Bad(
        "soft_margin_loss",
        "F.soft_margin_loss(x(4), mask(4))",
        TypeError,
        "soft_margin_loss: target is bool (4,), but must hold 1 and -1; write 2 * target.float() - 1",
    ),
    Bad(
        "multilabel_soft_margin_loss",
        "F.multilabel_soft_margin_loss(x(4, 3), x(4))",
        ValueError,
        "multilabel_soft_margin_loss: input has shape (4, 3) and target (4,); both must be (N, C), or both (C,)",
    ),
    Bad(
        "multilabel_soft_margin_loss",
        "F.multilabel_soft_margin_loss(x(4, 3), x(4, 3), weight=x(4))",
        ValueError,
        "multilabel_soft_margin_loss: weight has shape (4,), but input (4, 3) has 3 classes",
    ),
    Bad(
        "multi_margin_loss",
        "F.multi_margin_loss(x(4, 3), labels(3))",
        ValueError,
        "multi_margin_loss: input (4, 3) needs a target of shape (4,), but target has (3,)",
    ),
    Bad(
        "multi_margin_loss",
        "F.multi_margin_loss(x(4, 3), labels(4) + 3)",
        ValueError,
        "multi_margin_loss: target has labels 3 .. 3, but legal are 0 .. 2 for 3 classes",
    ),
    Bad(
        "multi_margin_loss",
        "F.multi_margin_loss(x(4, 3), x(4))",
        TypeError,
        "multi_margin_loss: target is float32 (4,), but must hold integer labels; convert it with .long()",
    ),
    Bad(
        "multi_margin_loss",
        "F.multi_margin_loss(x(4, 3), labels(4), p=3)",
        ValueError,
        "multi_margin_loss: p=3 is not supported; use 1 or 2",
    ),
    Bad(
        "multi_margin_loss",
        "F.multi_margin_loss(x(4, 3), labels(4), weight=x(4))",
        ValueError,
        "multi_margin_loss: weight has shape (4,), but input (4, 3) has 3 classes",
    ),
    Bad(
        "multi_margin_loss",
        "F.multi_margin_loss(x(4, 3, 2), labels(4))",
        ValueError,
        "multi_margin_loss: input has shape (4, 3, 2), but must be (N, C) or (C,), with at least one class",
    ),
    Bad(
        "multilabel_margin_loss",
        "F.multilabel_margin_loss(x(4, 3), labels(4))",
        ValueError,
        "multilabel_margin_loss: input has shape (4, 3), but target has (4,); they must be equal, with -1 after the labels",
    ),
    Bad(
        "multilabel_margin_loss",
        "F.multilabel_margin_loss(x(4, 3), labels(4, 3) - 2)",
        ValueError,
        "multilabel_margin_loss: target has labels -2 .. -2, but legal are -1 .. 2 for 3 classes",
    ),
    Bad(
        "gaussian_nll_loss",
        "F.gaussian_nll_loss(x(4, 3), x(4, 3), -x(4, 3))",
        ValueError,
        "gaussian_nll_loss: var has negative values, the smallest -1; predict its logarithm and use exp",
    ),
    Bad(
        "gaussian_nll_loss",
        "F.gaussian_nll_loss(x(4, 3), x(4, 3), x(3, 3))",
        ValueError,
        "gaussian_nll_loss: var has shape (3, 3), but input has (4, 3); var must have that shape, lack its last "
        "axis, or have length 1 along one axis",
    ),
    Bad(
        "gaussian_nll_loss",
        "F.gaussian_nll_loss(x(4, 3), x(4, 2), x(4, 3))",
        ValueError,
        "gaussian_nll_loss: input (4, 3) and target (4, 2) do not broadcast: 3 against 2 at axis -1, where lengths "
        "must be equal or 1",
    ),
    Bad(
        "gaussian_nll_loss",
        "F.gaussian_nll_loss(x(4, 3), x(4, 3), x(4, 3), eps=0)",
        ValueError,
        "gaussian_nll_loss: eps=0 must be positive",
    ),
    Bad(
        "poisson_nll_loss",
        "F.poisson_nll_loss(x(4, 3), x(4, 2))",
        ValueError,
        "poisson_nll_loss: input (4, 3) and target (4, 2) do not broadcast: 3 against 2 at axis -1, where lengths "
        "must be equal or 1",
    ),
    Bad(
        "poisson_nll_loss",
        "F.poisson_nll_loss(labels(4), labels(4))",
        TypeError,
        "poisson_nll_loss: input is int64 (4,), but must be floating; convert it with .float()",
    ),
    Bad(
        "scaled_dot_product_attention",
        "F.scaled_dot_product_attention(x(2, 3, 5), x(2, 4, 6), x(2, 4, 2))",
        ValueError,
        "scaled_dot_product_attention: query (2, 3, 5), key (2, 4, 6) and value (2, 4, 2) must be (..., L, E), (..., "
        "S, E), (..., S, Ev)",
    ),
    Bad(
        "scaled_dot_product_attention",
        "F.scaled_dot_product_attention(x(2, 3, 5), x(3, 4, 5), x(2, 4, 2))",
        ValueError,
        "scaled_dot_product_attention: the axes in front of the last two of query (2, 3, 5), key (3, 4, 5) and value "
        "(2, 4, 2) do not broadcast; their lengths must be equal or 1",
    ),
    Bad(
        "scaled_dot_product_attention",
        "F.scaled_dot_product_attention(x(3, 5), x(4, 5), x(4, 2), attn_mask=mask(4, 3))",
        ValueError,
        "scaled_dot_product_attention: attn_mask has shape (4, 3), which does not broadcast to the scores (..., L, S) = (3, 4)",
    ),
    Bad(
        "scaled_dot_product_attention",
        "F.scaled_dot_product_attention(x(3, 5), x(4, 5), x(4, 2), attn_mask=labels(3, 4))",
        TypeError,
        "scaled_dot_product_attention: attn_mask is int64 (3, 4), but must be floating; convert it with .float()",
    ),
    Bad(
        "scaled_dot_product_attention",
        "F.scaled_dot_product_attention(x(3, 5), x(4, 5), x(4, 2), attn_mask=mask(3, 4), is_causal=True)",
        ValueError,
        "scaled_dot_product_attention: is_causal=True makes the mask itself; leave attn_mask=(3, 4) out, or combine them",
    ),
    Bad(
        "scaled_dot_product_attention",
        "F.scaled_dot_product_attention(x(3, 5), x(4, 5), x(4, 2), dropout_p=1.5)",
        ValueError,
        "scaled_dot_product_attention: dropout_p=1.5 is a probability and must lie in [0, 1]",
    ),
    Bad(
        "scaled_dot_product_attention",
        "F.scaled_dot_product_attention(x(3, 3, 5), x(2, 4, 5), x(2, 4, 2), enable_gqa=True)",
        ValueError,
        "scaled_dot_product_attention: enable_gqa needs heads of query (3, 3, 5) that are a multiple of those of key "
        "and value (2, 4, 5)",
    ),
    Bad(
        "rms_norm",
        "F.rms_norm(x(4, 3), (4,))",
        ValueError,
        "rms_norm: input has shape (4, 3), but normalized_shape=(4,) must be the lengths of its last axes, which are (3,)",
    ),
    Bad(
        "rms_norm",
        "F.rms_norm(x(4, 3), 3, weight=x(4))",
        ValueError,
        "rms_norm: weight has shape (4,), but normalized_shape is (3,), so it must be (3,)",
    ),
    Bad(
        "rms_norm",
        "F.rms_norm(labels(4, 3), 3)",
        TypeError,
        "rms_norm: input is int64 (4, 3), but must be floating; convert it with .float()",
    ),
    Bad(
        "one_hot",
        "F.one_hot(x(4))",
        TypeError,
        "one_hot: tensor is float32 (4,), but must hold int64 class numbers; convert it with .long()",
    ),
    Bad(
        "one_hot",
        "F.one_hot(labels(4) - 1)",
        ValueError,
        "one_hot: tensor has values -1 .. -1, but the classes start at 0; take pixels to ignore out first",
    ),
    Bad(
        "one_hot",
        "F.one_hot(labels(4) + 5, num_classes=3)",
        ValueError,
        "one_hot: tensor has values 5 .. 5, but legal are the classes 0 .. 2",
    ),
    Bad(
        "one_hot",
        "F.one_hot(labels(0))",
        ValueError,
        "one_hot: tensor (0,) is empty, so num_classes cannot be seen from it; give it",
    ),
    Bad(
        "one_hot",
        "F.one_hot(labels(4), num_classes=2.5)",
        TypeError,
        "one_hot: num_classes=2.5 must be an int, not float; for whole numbers divide with //, or round with int()",
    ),
    Bad(
        "embedding_bag",
        "F.embedding_bag(labels(6), x(5, 3))",
        ValueError,
        "embedding_bag: input has shape (6,), but must be (B, N), or (M,) together with offsets",
    ),
    Bad(
        "embedding_bag",
        "F.embedding_bag(labels(2, 3), x(5, 3), offsets=labels(2))",
        ValueError,
        "embedding_bag: input (2, 3) is one bag for each row and takes no offsets; flatten it, or leave them out",
    ),
    Bad(
        "embedding_bag",
        "F.embedding_bag(labels(6), x(5, 3), labels(2) + 1)",
        ValueError,
        "embedding_bag: offsets must begin with 0 and ascend to at most 6, the length of input",
    ),
    Bad(
        "embedding_bag",
        "F.embedding_bag(labels(6) + 7, x(5, 3), labels(2))",
        IndexError,
        "embedding_bag: input holds 7, which is not one of the rows 0 .. 4 of weight (5, 3)",
    ),
    Bad(
        "embedding_bag",
        "F.embedding_bag(labels(2, 3), x(5, 3), mode='min')",
        ValueError,
        "embedding_bag: mode='min' is unknown; use 'sum', 'mean' or 'max'",
    ),
    Bad(
        "embedding_bag",
        "F.embedding_bag(labels(2, 3), x(5, 3), per_sample_weights=x(2, 3))",
        ValueError,
        "embedding_bag: per_sample_weights (2, 3) need mode='sum' and the shape of input (2, 3); mode is 'mean'",
    ),
    Bad(
        "pdist",
        "F.pdist(x(4))",
        ValueError,
        "pdist: input has shape (4,), but must be rows (N, M)",
    ),
    Bad(
        "pdist",
        "F.pdist(x(4, 3), p=-1)",
        ValueError,
        "pdist: p=-1 must not be negative; use 2 for lengths, 1 for sums, inf for the largest",
    ),
    Bad(
        "rrelu",
        "F.rrelu(x(4), lower=0.5, upper=0.1)",
        ValueError,
        "rrelu: lower=0.5 is greater than upper=0.1; exchange them",
    ),
    Bad(
        "gumbel_softmax",
        "F.gumbel_softmax(x(4, 3), tau=0)",
        ValueError,
        "gumbel_softmax: tau=0 is a temperature and must be positive",
    ),
    Bad(
        "gumbel_softmax",
        "F.gumbel_softmax(labels(4, 3))",
        TypeError,
        "gumbel_softmax: logits is int64 (4, 3), but must be floating; convert it with .float()",
    ),
    Bad(
        "feature_alpha_dropout",
        "F.feature_alpha_dropout(x(4))",
        ValueError,
        "feature_alpha_dropout: input has shape (4,), but needs a channel axis: (N, C, ...)",
    ),
    Bad(
        "feature_alpha_dropout",
        "F.feature_alpha_dropout(x(4, 3, 2), p=2)",
        ValueError,
        "feature_alpha_dropout: p=2 is a probability and must lie in [0, 1]",
    ),
    Bad(
        "to",
        "x(4, 3).to(memory_format=minivision.channels_last)",
        RuntimeError,
        "to: memory_format=minivision.channels_last is for images (N, C, H, W), but the shape is (4, 3)",
    ),
    Bad(
        "clone",
        "x(4, 3).clone(memory_format='last')",
        TypeError,
        "clone: memory_format='last' is unknown; use minivision.channels_last or contiguous_format",
    ),
    Bad(
        "contiguous",
        "x(4, 3).contiguous(memory_format=minivision.preserve_format)",
        ValueError,
        "contiguous: memory_format=preserve_format is no order; use contiguous_format or channels_last",
    ),
    Bad(
        "is_contiguous",
        "x(4, 3).is_contiguous(memory_format='channels_last')",
        TypeError,
        "is_contiguous: memory_format='channels_last' is no order; use contiguous_format or channels_last",
    ),
    Bad(
        "bfloat16",
        "x(4, 3).bfloat16()",
        TypeError,
        "bfloat16: NumPy has no such dtype for this float32 tensor of (4, 3); use .half() or .float()",
    ),
    Bad(
        "zeros_like",
        "minivision.zeros_like(x(4, 3), memory_format=minivision.channels_last)",
        RuntimeError,
        "zeros_like: memory_format=minivision.channels_last is for images (N, C, H, W), but the shape is (4, 3)",
    ),
]
