"""Indices, masks, gather and scatter."""

from tests.errors.table import Bad

BAD = [
    Bad(
        "x[index]",
        "x(2, 3)[2]",
        IndexError,
        "x[index]: index 2 is out of range for axis 0 of x (2, 3), which has length 2; legal are -2 .. 1",
    ),
    Bad(
        "x[index]",
        "x(2, 3)[0, -4]",
        IndexError,
        "x[index]: index -4 is out of range for axis 1 of x (2, 3), which has length 3; legal are -3 .. 2",
    ),
    Bad(
        "x[index]",
        "x(2, 3)[0, 0, 0]",
        IndexError,
        "x[index]: too many indices: they are for 3 axes, but x (2, 3) has 2",
    ),
    Bad(
        "x[index]",
        "x(2, 3)[1.0]",
        IndexError,
        "x[index]: 1.0 (float) is no index; use ints, slices, None, ..., masks or tensors of ints; for whole numbers divide "
        "with //, or round with int()",
    ),
    Bad(
        "x[index]",
        "x(2, 3)['a']",
        IndexError,
        "x[index]: 'a' (str) is no index; use ints, slices, None, ..., masks or tensors of ints",
    ),
    Bad(
        "x[index]",
        "x(2, 3)[x(2)]",
        IndexError,
        "x[index]: an index is float32 (2,), but must be int64, int32 or bool; convert with .long()",
    ),
    Bad(
        "x[index]",
        "x(2, 3)[labels(4) + 2]",
        IndexError,
        "x[index]: index 2 is out of range for axis 0 of x (2, 3), which has length 2; legal are -2 .. 1",
    ),
    Bad(
        "x[index]",
        "x(2, 3)[[0, 2]]",
        IndexError,
        "x[index]: indices 0 .. 2 are out of range for axis 0 of x (2, 3), which has length 2; legal are -2 .. 1",
    ),
    Bad(
        "x[index]",
        "x(2, 3)[:, labels(2) - 4]",
        IndexError,
        "x[index]: index -4 is out of range for axis 1 of x (2, 3), which has length 3; legal are -3 .. 2",
    ),
    Bad(
        "x[index]",
        "x(2, 3)[mask(3)]",
        IndexError,
        "x[index]: the mask has shape (3,), but x (2, 3) has (2,) from axis 0 on; a mask must have the shape of what it "
        "chooses from",
    ),
    Bad(
        "x[index]",
        "x(2, 3)[mask(2, 2)]",
        IndexError,
        "x[index]: the mask has shape (2, 2), but x (2, 3) has (2, 3) from axis 0 on; a mask must have the shape of what it "
        "chooses from",
    ),
    Bad(
        "x[index]",
        "x(2, 3)[mask(2, 3), 0]",
        IndexError,
        "x[index]: too many indices: they are for 3 axes, but x (2, 3) has 2",
    ),
    Bad(
        "x[index]",
        "x(2, 3)[labels(2), labels(3)]",
        IndexError,
        "x[index]: the index tensors (for a mask, its number of True) have shapes (2,) and (3,), which do not broadcast; "
        "each chooses one place per element of the result",
    ),
    Bad(
        "x[index]",
        "x(2, 3)[..., ...]",
        IndexError,
        "x[index]: the index has more than one '...', and nothing says for how many axes each stands; write : for single axes",
    ),
    Bad(
        "x[index]",
        "x(2, 3)[0:2:0]",
        ValueError,
        "x[index]: the slice's step is 0, which would never get anywhere",
    ),
    Bad(
        "x[index]",
        "x(2, 3)[0:1.5]",
        TypeError,
        "x[index]: the slice's stop=1.5 must be an int or None, not float; for whole numbers divide with //, or round with int()",
    ),
    Bad(
        "x[index]",
        "x(2, 3)['a':]",
        TypeError,
        "x[index]: the slice's start='a' must be an int or None, not str",
    ),
    Bad(
        "x[index]",
        "x(2, 3)[mask(2).byte()]",
        IndexError,
        "x[index]: an index is uint8 (2,), but must be int64, int32 or bool; convert with .bool() for a mask, or .long() for "
        "places",
    ),
    Bad(
        "x[index]",
        "x(2, 3)[[x(2), x(2)]]",
        TypeError,
        "x[index]: index is a list of tensors, but must be one tensor; join them with minivision.stack or minivision.cat",
    ),
    Bad(
        "x[index]",
        "x(2, 3)[[[0, 1], [1]]]",
        TypeError,
        "x[index]: index is [[0, 1], [1]], but nested lists must form a regular table of numbers: every row of the same length",
    ),
    Bad(
        "x[index]",
        "x()[0]",
        IndexError,
        "x[index]: too many indices: they are for 1 axis, but x () has 0",
    ),
    Bad(
        "x[index]",
        "x(0)[0]",
        IndexError,
        "x[index]: index 0 is out of range for axis 0 of x (0,), which has length 0; it has no places",
    ),
    Bad(
        "x[index] = value",
        "x(2, 3).__setitem__(2, 1.0)",
        IndexError,
        "x[index] = value: index 2 is out of range for axis 0 of x (2, 3), which has length 2; legal are -2 .. 1",
    ),
    Bad(
        "x[index] = value",
        "x(2, 3).__setitem__(mask(3), 1.0)",
        IndexError,
        "x[index] = value: the mask has shape (3,), but x (2, 3) has (2,) from axis 0 on; a mask must have the shape of what "
        "it chooses from",
    ),
    Bad(
        "x[index] = value",
        "x(2, 3).__setitem__(0, x(2))",
        ValueError,
        "x[index] = value: value has shape (2,), which does not broadcast to the places (3,) of x of shape (2, 3)",
    ),
    Bad(
        "x[index] = value",
        "x(2, 3).__setitem__(labels(4), x(2, 3))",
        ValueError,
        "x[index] = value: value has shape (2, 3), which does not broadcast to the places (4, 3) of x of shape (2, 3)",
    ),
    Bad(
        "x[index] = value",
        "x(2, 3).__setitem__(0, 'a')",
        TypeError,
        "x[index] = value: value is 'a' (str), but must be a tensor (or an array, or numbers)",
    ),
    Bad(
        "x[index] = value",
        "x(2, 3).__setitem__(0, None)",
        TypeError,
        "x[index] = value: value is None, but must be a tensor (or an array, or numbers)",
    ),
    Bad(
        "x[index] = value",
        "labels(2, 3).__setitem__(0, float('nan'))",
        TypeError,
        "x[index] = value: value=nan does not fit into int64, which holds neither NaN nor infinity; convert the tensor with "
        ".float()",
    ),
    Bad(
        "x[index] = value",
        "labels(2, 3).byte().__setitem__(0, 300)",
        ValueError,
        "x[index] = value: value=300 does not fit into uint8, which holds 0 .. 255; convert the tensor with .int()",
    ),
    Bad(
        "x[index] = value",
        "x(2, 1).expand(2, 3).__setitem__(0, 1.0)",
        RuntimeError,
        "x[index] = value: x of shape (2, 3) was expanded, so several of its elements are one in memory; change a .clone()",
    ),
    Bad(
        "x[index] = value",
        "x(2, 3).requires_grad_().__setitem__(0, 1.0)",
        RuntimeError,
        "x[index] = value: this leaf of shape (2, 3) requires a gradient, so a change in place would have to be recorded; "
        "update parameters inside `with no_grad():`",
    ),
    Bad(
        "gather",
        "minivision.gather(x(2, 3), 1, labels(2, 2) + 3)",
        IndexError,
        "gather: index has values 3 .. 3, but axis 1 of input (2, 3) has length 3; legal are 0 .. 2",
    ),
    Bad(
        "gather",
        "minivision.gather(x(2, 3), 1, labels(2, 2) - 1)",
        IndexError,
        "gather: index has values -1 .. -1, but axis 1 of input (2, 3) has length 3; legal are 0 .. 2",
    ),
    Bad(
        "gather",
        "minivision.gather(x(2, 3), 1, x(2, 2))",
        TypeError,
        "gather: index is float32 (2, 2), but indices must be int64 or int32; convert with .long()",
    ),
    Bad(
        "gather",
        "minivision.gather(x(2, 3), 1, mask(2, 2))",
        TypeError,
        "gather: index is bool (2, 2), but indices must be int64 or int32; to choose with a mask, use masked_select or x[mask]",
    ),
    Bad(
        "gather",
        "minivision.gather(x(2, 3), 1, labels(2))",
        ValueError,
        "gather: index has shape (2,) and input (2, 3), 1 and 2 axes; they must have equally many; to choose whole slices, "
        "use index_select",
    ),
    Bad(
        "gather",
        "minivision.gather(x(2, 3), 1, labels(3, 2))",
        ValueError,
        "gather: index (3, 2) reaches beyond input (2, 3) along axis 0: 3 > 2; along every axis but dim 1 it must be at most "
        "as long",
    ),
    Bad(
        "gather",
        "minivision.gather(x(2, 3), 2, labels(2, 2))",
        IndexError,
        "gather: dim 2 is out of range for shape (2, 3), which has 2 axes; legal are -2 .. 1",
    ),
    Bad(
        "gather",
        "minivision.gather(x(2, 3), 'rows', labels(2, 2))",
        TypeError,
        "gather: dim='rows' must be an int, not str",
    ),
    Bad(
        "take_along_dim",
        "minivision.take_along_dim(x(2, 3), labels(2), 1)",
        ValueError,
        "take_along_dim: input (2, 3) and indices (2,) have 2 and 1 axes; they must have equally many",
    ),
    Bad(
        "take_along_dim",
        "minivision.take_along_dim(x(2, 3), labels(3, 2), 1)",
        ValueError,
        "take_along_dim: input (2, 3) and indices (3, 2) do not broadcast: 2 against 3 at axis 0, where lengths must be "
        "equal or 1, as on all axes but dim 1",
    ),
    Bad(
        "take_along_dim",
        "minivision.take_along_dim(x(2, 3), labels(2, 2) + 3, 1)",
        IndexError,
        "take_along_dim: indices has values 3 .. 3, but axis 1 of input (2, 3) has length 3; legal are -3 .. 2",
    ),
    Bad(
        "take_along_dim",
        "minivision.take_along_dim(x(2, 3), labels(2) + 6)",
        IndexError,
        "take_along_dim: indices has values 6 .. 6, but the flattened input (2, 3) has length 6; legal are -6 .. 5",
    ),
    Bad(
        "take_along_dim",
        "minivision.take_along_dim(x(2, 3), x(2, 2), 1)",
        TypeError,
        "take_along_dim: indices is float32 (2, 2), but indices must be int64 or int32; convert with .long()",
    ),
    Bad(
        "scatter",
        "minivision.scatter(x(2, 3), 1, labels(2, 2))",
        ValueError,
        "scatter: what is written is either src, a tensor, or value, a number, but neither is given",
    ),
    Bad(
        "scatter",
        "minivision.scatter(x(2, 3), 1, labels(2, 2), x(2, 1))",
        ValueError,
        "scatter: index (2, 2) reaches beyond src (2, 1) along axis 1: 2 > 1; along every axis it must be at most as long",
    ),
    Bad(
        "scatter",
        "minivision.scatter(x(2, 3), 1, labels(2, 2), x64(2, 2))",
        TypeError,
        "scatter: input is float32 (2, 3), but src is float64 (2, 2); convert one of them, src.to(input.dtype)",
    ),
    Bad(
        "scatter",
        "minivision.scatter(x(2, 3), 1, labels(2, 2) + 3, 1.0)",
        IndexError,
        "scatter: index has values 3 .. 3, but axis 1 of input (2, 3) has length 3; legal are 0 .. 2",
    ),
    Bad(
        "scatter",
        "minivision.scatter(x(2, 3), 1, labels(2, 2), x(2, 2), reduce='mean')",
        ValueError,
        "scatter: reduce='mean' is unknown; use None, 'add' or 'multiply'",
    ),
    Bad(
        "scatter",
        "minivision.scatter(x(2, 3), 1, labels(2, 2), value='1')",
        TypeError,
        "scatter: value='1' must be a number, not str",
    ),
    Bad(
        "scatter",
        "minivision.scatter(labels(2, 3), 1, labels(2, 2), 1.5)",
        TypeError,
        "scatter: src=1.5 does not fit into int64, which holds no fractions; convert the tensor with .float()",
    ),
    Bad(
        "scatter_add",
        "minivision.scatter_add(x(2, 3), 1, labels(2, 4), x(2, 3))",
        ValueError,
        "scatter_add: index (2, 4) reaches beyond src (2, 3) along axis 1: 4 > 3; along every axis it must be at most as long",
    ),
    Bad(
        "scatter_add",
        "minivision.scatter_add(x(2, 3), 1, labels(2, 2), labels(2, 2))",
        TypeError,
        "scatter_add: input is float32 (2, 3), but src is int64 (2, 2); convert one of them, src.to(input.dtype)",
    ),
    Bad(
        "scatter_add",
        "minivision.scatter_add(x(2, 3), 1, x(2, 2), x(2, 2))",
        TypeError,
        "scatter_add: index is float32 (2, 2), but indices must be int64 or int32; convert with .long()",
    ),
    Bad(
        "index_select",
        "minivision.index_select(x(2, 3), 1, labels(2) + 3)",
        IndexError,
        "index_select: index has values 3 .. 3, but axis 1 of input (2, 3) has length 3; legal are 0 .. 2",
    ),
    Bad(
        "index_select",
        "minivision.index_select(x(2, 3), 1, labels(2, 2))",
        ValueError,
        "index_select: index has shape (2, 2), but must be a vector; use gather, or x[index], for more axes",
    ),
    Bad(
        "index_select",
        "minivision.index_select(x(2, 3), 2, labels(2))",
        IndexError,
        "index_select: dim 2 is out of range for shape (2, 3), which has 2 axes; legal are -2 .. 1",
    ),
    Bad(
        "index_select",
        "minivision.index_select(x(2, 3), 1, x(2))",
        TypeError,
        "index_select: index is float32 (2,), but indices must be int64 or int32; convert with .long()",
    ),
    Bad(
        "index_select",
        "minivision.index_select(x(2, 3), 1, None)",
        TypeError,
        "index_select: index is None, but must be a tensor (or an array, or numbers)",
    ),
    Bad(
        "index_add",
        "minivision.index_add(x(2, 3), 1, labels(4), x(2, 3))",
        ValueError,
        "index_add: source has shape (2, 3), but index names 4 places along dim 1 of input (2, 3), so it must be (2, 4)",
    ),
    Bad(
        "index_add",
        "minivision.index_add(x(2, 3), 1, labels(4) + 3, x(2, 4))",
        IndexError,
        "index_add: index has values 3 .. 3, but axis 1 of input (2, 3) has length 3; legal are 0 .. 2",
    ),
    Bad(
        "index_add",
        "minivision.index_add(x(2, 3), 1, labels(4), labels(2, 4))",
        TypeError,
        "index_add: input is float32 (2, 3), but source is int64 (2, 4); convert one of them, source.to(input.dtype)",
    ),
    Bad(
        "index_add",
        "minivision.index_add(x(2, 3), 1, labels(4), x(2, 4), alpha=None)",
        TypeError,
        "index_add: alpha=None must be a number",
    ),
    Bad(
        "index_copy",
        "minivision.index_copy(x(2, 3), 1, labels(1), x(2, 2))",
        ValueError,
        "index_copy: source has shape (2, 2), but index names 1 place along dim 1 of input (2, 3), so it must be (2, 1)",
    ),
    Bad(
        "index_copy",
        "minivision.index_copy(x(2, 3), 0, labels(1) + 2, x(1, 3))",
        IndexError,
        "index_copy: index has values 2 .. 2, but axis 0 of input (2, 3) has length 2; legal are 0 .. 1",
    ),
    Bad(
        "index_fill",
        "minivision.index_fill(x(2, 3), 1, labels(2) + 3, 1.0)",
        IndexError,
        "index_fill: index has values 3 .. 3, but axis 1 of input (2, 3) has length 3; legal are 0 .. 2",
    ),
    Bad(
        "index_fill",
        "minivision.index_fill(x(2, 3), 1, labels(2), x(2))",
        ValueError,
        "index_fill: value has shape (2,), but must be a number; use where for a tensor",
    ),
    Bad(
        "index_fill",
        "minivision.index_fill(x(2, 3), 2, labels(2), 1.0)",
        IndexError,
        "index_fill: dim 2 is out of range for shape (2, 3), which has 2 axes; legal are -2 .. 1",
    ),
    Bad(
        "masked_fill",
        "minivision.masked_fill(x(2, 3), mask(2), 1.0)",
        ValueError,
        "masked_fill: input (2, 3) and mask (2,) do not broadcast: 3 against 2 at axis -1, where lengths must be equal or 1; "
        "to match the first axes, write mask.reshape(2, 1)",
    ),
    Bad(
        "masked_fill",
        "minivision.masked_fill(x(2, 3), x(2, 3), 1.0)",
        TypeError,
        "masked_fill: mask is float32 (2, 3), but must be bool; write a comparison such as x > 0",
    ),
    Bad(
        "masked_fill",
        "minivision.masked_fill(labels(3), mask(3), 1.5)",
        TypeError,
        "masked_fill: value=1.5 does not fit into int64, which holds no fractions; convert the tensor with .float()",
    ),
    Bad(
        "masked_fill",
        "minivision.masked_fill(x(3), mask(3), x(3))",
        ValueError,
        "masked_fill: value has shape (3,), but must be a number; use where for a tensor",
    ),
    Bad(
        "masked_fill",
        "minivision.masked_fill(x(3), mask(3), None)",
        TypeError,
        "masked_fill: value=None must be a number",
    ),
    Bad(
        "masked_select",
        "minivision.masked_select(x(2, 3), mask(2))",
        ValueError,
        "masked_select: input (2, 3) and mask (2,) do not broadcast: 3 against 2 at axis -1, where lengths must be equal or "
        "1; to match the first axes, write mask.reshape(2, 1)",
    ),
    Bad(
        "masked_select",
        "minivision.masked_select(x(2, 3), labels(2, 3))",
        TypeError,
        "masked_select: mask is int64 (2, 3), but must be bool; write a comparison such as x > 0",
    ),
    Bad(
        "take",
        "minivision.take(x(2, 3), labels(2) + 6)",
        IndexError,
        "take: index has values 6 .. 6, but the flattened input (2, 3) has length 6; legal are -6 .. 5",
    ),
    Bad(
        "take",
        "minivision.take(x(2, 3), x(2))",
        TypeError,
        "take: index is float32 (2,), but indices must be int64 or int32; convert with .long()",
    ),
    Bad(
        "nonzero",
        "minivision.nonzero(None)",
        TypeError,
        "nonzero: input is None, but must be a tensor (or an array, or numbers)",
    ),
    Bad(
        "nonzero",
        "minivision.nonzero(x(3), as_tuple='yes')",
        TypeError,
        "nonzero: as_tuple='yes' must be True or False, not str",
    ),
]
