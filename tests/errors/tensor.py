"""What a tensor says of itself, and changes in place."""

from tests.errors.families import family
from tests.errors.table import Bad

BAD = [
    Bad(
        "item",
        "x(2, 3).item()",
        ValueError,
        "item: a tensor of shape (2, 3) has 6 elements; only one-element tensors have an item, so index it or reduce it "
        "first (.sum(), .mean()), or take .tolist()",
    ),
    Bad(
        "item",
        "x(0).item()",
        ValueError,
        "item: a tensor of shape (0,) has 0 elements; only one-element tensors have an item, so index it or reduce it first "
        "(.sum(), .mean()), or take .tolist()",
    ),
    Bad(
        "float",
        "float(x(2, 3))",
        ValueError,
        "float: a tensor of shape (2, 3) has 6 elements; only one-element tensors have an item, so index it or reduce it "
        "first (.sum(), .mean()), or take .tolist()",
    ),
    Bad(
        "int",
        "int(x(2, 3))",
        ValueError,
        "int: a tensor of shape (2, 3) has 6 elements; only one-element tensors have an item, so index it or reduce it first "
        "(.sum(), .mean()), or take .tolist()",
    ),
    Bad(
        "int",
        "int(x() * float('nan'))",
        ValueError,
        "int: the tensor holds nan, which is no integer",
    ),
    Bad(
        "bool",
        "bool(x(2, 3))",
        ValueError,
        "bool: the truth of a tensor of shape (2, 3) is ambiguous; use .any() or .all(), or compare one element",
    ),
    Bad(
        "index",
        "[1, 2, 3][x()]",
        TypeError,
        "index: only integer tensors of one element can be used as an index, not float32 (); convert with int()",
    ),
    Bad(
        "index",
        "[1, 2, 3][labels(2)]",
        TypeError,
        "index: only integer tensors of one element can be used as an index, not int64 (2,); convert with int()",
    ),
    Bad(
        "len",
        "len(x())",
        TypeError,
        "len: a 0-d tensor is a single number and has no length; .item() is its value",
    ),
    Bad(
        "size",
        "x(2, 3).size(2)",
        IndexError,
        "size: dim 2 is out of range for shape (2, 3); legal are -2 .. 1",
    ),
    Bad(
        "size",
        "x(2, 3).size('rows')",
        TypeError,
        "size: dim='rows' must be an int, not str",
    ),
    Bad(
        "size",
        "x().size(0)",
        IndexError,
        "size: dim 0 is out of range for shape (); it has no axes",
    ),
    Bad(
        "in",
        "'a' in x(3)",
        TypeError,
        "in: a tensor holds numbers, but 'a' is str; compare with == for arrays",
    ),
    Bad(
        "in",
        "x(2) in x(3)",
        ValueError,
        "in: a tensor holds numbers, but the value has shape (2,); use (x == value).any()",
    ),
    Bad(
        "requires_grad",
        "labels(3).requires_grad_()",
        RuntimeError,
        "requires_grad: only floating tensors can require a gradient, not int64 (3,); convert with .float()",
    ),
    Bad(
        "requires_grad",
        "x(3).requires_grad_('yes')",
        TypeError,
        "requires_grad: 'yes' must be True or False, not str",
    ),
    Bad(
        "requires_grad",
        "(x(3).requires_grad_() * 2).requires_grad_(False)",
        RuntimeError,
        "requires_grad: it can be switched off for leaves only, and this tensor of shape (3,) was computed by <Mul>; use "
        ".detach() for the same values outside the graph",
    ),
    Bad(
        "retain_grad",
        "x(3).retain_grad()",
        RuntimeError,
        "retain_grad: this tensor of shape (3,) does not require a gradient, so it will never get one; call "
        ".requires_grad_() on what it is computed from",
    ),
    Bad(
        "register_hook",
        "x(3).register_hook(print)",
        RuntimeError,
        "register_hook: this tensor of shape (3,) does not require a gradient, so the hook would never be called; call "
        ".requires_grad_() on what it is computed from",
    ),
    Bad(
        "deepcopy",
        "__import__('copy').deepcopy(x(3).requires_grad_() * 2)",
        RuntimeError,
        "deepcopy: only leaves can be copied, and this tensor of shape (3,) was computed by <Mul>; use .detach().clone(), or "
        ".clone() to stay in the graph",
    ),
    Bad(
        "numpy",
        "__import__('numpy').asarray(x(3).requires_grad_())",
        RuntimeError,
        "numpy: a tensor of shape (3,) that requires a gradient is being turned into a NumPy array, which would cut it off "
        "from the graph; use .detach().numpy() if that is meant, or minivision's cat, stack or where to stay in it",
    ),
    Bad(
        "add_",
        "x(3).add_(x(2, 3))",
        ValueError,
        "add_: the result has shape (2, 3), which does not fit into x of shape (3,); in place, x keeps its shape",
    ),
    Bad(
        "add_",
        "x(2, 3).add_(x(2))",
        ValueError,
        "add_: input (2, 3) and other (2,) do not broadcast: 3 against 2 at axis -1, where lengths must be equal or 1; to "
        "match the first axes, write other.reshape(2, 1)",
    ),
    Bad(
        "add_",
        "labels(3).add_(1.5)",
        TypeError,
        "add_: the result is float32, which x of int64 cannot hold; convert x first, with .to(minivision.float32)",
    ),
    Bad(
        "add_",
        "x(3).add_(None)",
        TypeError,
        "add_: other is None, but must be a tensor (or an array, or numbers)",
    ),
    Bad(
        "sub_",
        "x(3).requires_grad_().sub_(1)",
        RuntimeError,
        "sub_: this leaf of shape (3,) requires a gradient, so a change in place would have to be recorded; update "
        "parameters inside `with no_grad():`",
    ),
    Bad(
        "sub_",
        "mask(3).sub_(1)",
        TypeError,
        "sub_: input is bool (3,), and truth values have no difference; use ~ for the opposite of a mask, ^ for where two "
        "masks differ, or convert with .int()",
    ),
    Bad(
        "mul_",
        "x(3).mul_(x(3).requires_grad_())",
        RuntimeError,
        "mul_: in-place changes are not recorded, so the graph would be cut here; build a new tensor (x = x + y, where, cat, "
        "stack), or wrap the change in `with no_grad():` if no gradient should flow through it",
    ),
    Bad(
        "mul_",
        "labels(3).mul_(0.5)",
        TypeError,
        "mul_: the result is float32, which x of int64 cannot hold; convert x first, with .to(minivision.float32)",
    ),
    Bad(
        "div_",
        "labels(3).div_(2)",
        TypeError,
        "div_: the result is float32, which x of int64 cannot hold; convert x first, with .to(minivision.float32)",
    ),
    Bad(
        "div_",
        "x(3).div_(x(2))",
        ValueError,
        "div_: input (3,) and other (2,) do not broadcast: 3 against 2 at axis -1, where lengths must be equal or 1",
    ),
    Bad(
        "pow_",
        "labels(3).pow_(-1)",
        ValueError,
        "pow_: exponent=-1 is negative, but input is int64, and the negative power of an integer is a fraction; convert "
        "input with .float()",
    ),
    Bad(
        "pow_",
        "x(3).pow_(x(2))",
        ValueError,
        "pow_: input (3,) and exponent (2,) do not broadcast: 3 against 2 at axis -1, where lengths must be equal or 1",
    ),
    Bad(
        "exp_",
        "labels(3).exp_()",
        TypeError,
        "exp_: the result is float32, which x of int64 cannot hold; convert x first, with .to(minivision.float32)",
    ),
    Bad(
        "log_",
        "labels(3).log_()",
        TypeError,
        "log_: the result is float32, which x of int64 cannot hold; convert x first, with .to(minivision.float32)",
    ),
    Bad(
        "sqrt_",
        "labels(3).sqrt_()",
        TypeError,
        "sqrt_: the result is float32, which x of int64 cannot hold; convert x first, with .to(minivision.float32)",
    ),
    Bad(
        "neg_",
        "mask(3).neg_()",
        TypeError,
        "neg_: input is bool (3,), which has no negative; use ~ for the opposite of a mask",
    ),
    Bad(
        "abs_",
        "mask(3).abs_()",
        TypeError,
        "abs_: input is bool (3,), but must be numbers, not truth values; convert it with .int() or .float()",
    ),
    Bad(
        "floor_",
        "mask(3).floor_()",
        TypeError,
        "floor_: input is bool (3,), but must be numbers, not truth values; convert it with .int() or .float()",
    ),
    Bad(
        "ceil_",
        "mask(3).ceil_()",
        TypeError,
        "ceil_: input is bool (3,), but must be numbers, not truth values; convert it with .int() or .float()",
    ),
    Bad(
        "round_",
        "x(3).round_(decimals='a')",
        TypeError,
        "round_: decimals='a' must be an int, not str",
    ),
    Bad(
        "clamp_",
        "x(3).clamp_()",
        ValueError,
        "clamp_: min and max are both None; give min, max, or both",
    ),
    Bad(
        "clamp_",
        "x(2, 3).clamp_(x(2))",
        ValueError,
        "clamp_: input (2, 3) and min (2,) do not broadcast: 3 against 2 at axis -1, where lengths must be equal or 1; to "
        "match the first axes, write min.reshape(2, 1)",
    ),
    Bad(
        "masked_fill_",
        "x(3).masked_fill_(mask(2), 0.0)",
        ValueError,
        "masked_fill_: input (3,) and mask (2,) do not broadcast: 3 against 2 at axis -1, where lengths must be equal or 1",
    ),
    Bad(
        "masked_fill_",
        "x(3).masked_fill_(x(3), 0.0)",
        TypeError,
        "masked_fill_: mask is float32 (3,), but must be bool; write a comparison such as x > 0",
    ),
    Bad(
        "scatter_",
        "x(2, 3).scatter_(1, labels(2, 2) + 3, 1.0)",
        IndexError,
        "scatter_: index has values 3 .. 3, but axis 1 of input (2, 3) has length 3; legal are 0 .. 2",
    ),
    Bad(
        "scatter_add_",
        "x(2, 3).scatter_add_(1, labels(2, 2), x(2, 1))",
        ValueError,
        "scatter_add_: index (2, 2) reaches beyond src (2, 1) along axis 1: 2 > 1; along every axis it must be at most as long",
    ),
    Bad(
        "index_add_",
        "x(2, 3).index_add_(1, labels(4), x(2, 3))",
        ValueError,
        "index_add_: source has shape (2, 3), but index names 4 places along dim 1 of input (2, 3), so it must be (2, 4)",
    ),
    Bad(
        "index_copy_",
        "x(2, 3).index_copy_(1, labels(1) + 3, x(2, 1))",
        IndexError,
        "index_copy_: index has values 3 .. 3, but axis 1 of input (2, 3) has length 3; legal are 0 .. 2",
    ),
    Bad(
        "index_fill_",
        "x(2, 3).index_fill_(1, labels(1) + 3, 0.0)",
        IndexError,
        "index_fill_: index has values 3 .. 3, but axis 1 of input (2, 3) has length 3; legal are 0 .. 2",
    ),
    Bad(
        "lerp_",
        "x(3).lerp_(x(2), 0.5)",
        ValueError,
        "lerp_: input (3,) and end (2,) do not broadcast: 3 against 2 at axis -1, where lengths must be equal or 1",
    ),
    Bad(
        "lerp_",
        "x(3).lerp_(x64(3), 0.5)",
        TypeError,
        "lerp_: input is float32, but end is float64; convert one of them (.float(), .double(), or module.double())",
    ),
    Bad(
        "addcmul_",
        "x(3).addcmul_(x(2), x(3))",
        ValueError,
        "addcmul_: tensor1 (2,) and tensor2 (3,) do not broadcast: 2 against 3 at axis -1, where lengths must be equal or 1",
    ),
    Bad(
        "addcdiv_",
        "x(3).addcdiv_(x(3), x(3), value='a')",
        TypeError,
        "addcdiv_: value='a' must be a number, not str",
    ),
    Bad(
        "fill_",
        "x(3).fill_(x(3))",
        ValueError,
        "fill_: value has shape (3,), but must be a number; use copy_ for a tensor",
    ),
    Bad(
        "fill_",
        "x(3).fill_('a')",
        TypeError,
        "fill_: value='a' must be a number, not str",
    ),
    Bad(
        "fill_",
        "labels(3).fill_(float('inf'))",
        TypeError,
        "fill_: value=inf does not fit into int64, which holds neither NaN nor infinity; convert the tensor with .float()",
    ),
    Bad(
        "fill_",
        "labels(3).byte().fill_(300)",
        ValueError,
        "fill_: value=300 does not fit into uint8, which holds 0 .. 255; convert the tensor with .int()",
    ),
    Bad(
        "zero_",
        "x(3).requires_grad_().zero_()",
        RuntimeError,
        "zero_: this leaf of shape (3,) requires a gradient, so a change in place would have to be recorded; update "
        "parameters inside `with no_grad():`",
    ),
    Bad(
        "zero_",
        "x(1).expand(3).zero_()",
        RuntimeError,
        "zero_: x of shape (3,) was expanded, so several of its elements are one in memory; change a .clone()",
    ),
    Bad(
        "copy_",
        "x(2, 3).copy_(x(2))",
        ValueError,
        "copy_: source has shape (2,), which does not broadcast to x of shape (2, 3)",
    ),
    Bad(
        "copy_",
        "x(3).copy_('a')",
        TypeError,
        "copy_: source is 'a' (str), but must be a tensor (or an array, or numbers)",
    ),
    Bad(
        "normal_",
        "labels(3).normal_()",
        TypeError,
        "normal_: x is int64 (3,), but must be floating; convert it with .float()",
    ),
    Bad(
        "normal_",
        "x(3).normal_(0.0, -1.0)",
        ValueError,
        "normal_: std=-1.0 must not be negative",
    ),
    Bad(
        "normal_",
        "x(3).normal_(generator=0)",
        TypeError,
        "normal_: generator=0 must be a minivision.Generator, not int; write minivision.Generator().manual_seed(0)",
    ),
    Bad(
        "uniform_",
        "labels(3).uniform_()",
        TypeError,
        "uniform_: x is int64 (3,), but must be floating; convert it with .float()",
    ),
    Bad(
        "uniform_",
        "x(3).uniform_(2.0, 1.0)",
        ValueError,
        "uniform_: a=2.0 lies above b=1.0; the numbers are drawn from a .. b",
    ),
    Bad(
        "uniform_",
        "x(3).uniform_('a')",
        TypeError,
        "uniform_: a='a' must be a number, not str",
    ),
    Bad(
        "x += y",
        "x(3).__iadd__(x(2, 3))",
        ValueError,
        "x += y: the result has shape (2, 3), which does not fit into x of shape (3,); in place, x keeps its shape",
    ),
    Bad(
        "x += y",
        "x(3).__iadd__(x(4))",
        ValueError,
        "x += y: input (3,) and other (4,) do not broadcast: 3 against 4 at axis -1, where lengths must be equal or 1",
    ),
    Bad(
        "x /= y",
        "labels(3).__itruediv__(2)",
        TypeError,
        "x /= y: the result is float32, which x of int64 cannot hold; convert x first, with .to(minivision.float32)",
    ),
    Bad(
        "x *= y",
        "x(3).__imul__(None)",
        TypeError,
        "x *= y: other is None, but must be a tensor (or an array, or numbers)",
    ),
    Bad(
        "x -= y",
        "x(3).requires_grad_().__isub__(1)",
        RuntimeError,
        "x -= y: this leaf of shape (3,) requires a gradient, so a change in place would have to be recorded; update "
        "parameters inside `with no_grad():`",
    ),
    Bad(
        "sigmoid_",
        "labels(3).sigmoid_()",
        TypeError,
        "sigmoid_: input is int64 (3,), but must be floating; convert it with .float()",
    ),
    Bad(
        "tanh_",
        "labels(3).tanh_()",
        TypeError,
        "tanh_: input is int64 (3,), but must be floating; convert it with .float()",
    ),
    *family(
        "exp_ log_ sqrt_ neg_ abs_ floor_ ceil_ round_",
        "x(1).expand(3).NAME()",
        RuntimeError,
        "NAME: x of shape (3,) was expanded, so several of its elements are one in memory; change a .clone()",
    ),
    *family(
        "scatter_ scatter_add_",
        "x(2, 3).NAME(2, labels(2, 2), x(2, 2))",
        IndexError,
        "NAME: dim 2 is out of range for shape (2, 3), which has 2 axes; legal are -2 .. 1",
    ),
    *family(
        "index_add_ index_copy_",
        "x(2, 3).NAME(2, labels(1), x(2, 1))",
        IndexError,
        "NAME: dim 2 is out of range for shape (2, 3), which has 2 axes; legal are -2 .. 1",
    ),
    *family(
        "addcmul_ addcdiv_",
        "x(3).NAME(x(3), None)",
        TypeError,
        "NAME: tensor2 is None, but must be a tensor (or an array, or numbers)",
    ),
    Bad(
        "index_fill_",
        "x(2, 3).index_fill_(2, labels(1), 0.0)",
        IndexError,
        "index_fill_: dim 2 is out of range for shape (2, 3), which has 2 axes; legal are -2 .. 1",
    ),
]
