"""Products of vectors and matrices, and Einstein's notation."""

from tests.errors.table import Bad

BAD = [
    Bad(
        "matmul",
        "minivision.matmul(x(2, 3), x64(3, 4))",
        TypeError,
        "matmul: input is float32 (2, 3), but other is float64 (3, 4); convert one of them, other.to(input.dtype)",
    ),
    Bad(
        "matmul",
        "minivision.matmul(mask(2, 3), mask(3, 4))",
        TypeError,
        "matmul: input is bool (2, 3), but must be numbers, not truth values; convert it with .int() or .float()",
    ),
    Bad(
        "matmul",
        "x(2, 3) @ labels(3)",
        TypeError,
        "matmul: input is float32 (2, 3), but other is int64 (3,); convert one of them, other.to(input.dtype)",
    ),
    Bad(
        "mm",
        "minivision.mm(x(2, 3), labels(3, 4))",
        TypeError,
        "mm: input is float32 (2, 3), but mat2 is int64 (3, 4); convert one of them, mat2.to(input.dtype)",
    ),
    Bad(
        "bmm",
        "minivision.bmm(x(2, 2, 3), x64(2, 3, 4))",
        TypeError,
        "bmm: input is float32 (2, 2, 3), but mat2 is float64 (2, 3, 4); convert one of them, mat2.to(input.dtype)",
    ),
    Bad(
        "einsum",
        "minivision.einsum('ij,jk->ik', x(2, 3))",
        ValueError,
        "einsum: 'ij,jk->ik' describes 2 operands, but 1 was given",
    ),
    Bad(
        "einsum",
        "minivision.einsum('ij,jk->ik', x(2, 3), x(4, 5))",
        ValueError,
        "einsum: letter 'j' of 'ij,jk->ik' has length 3 in one operand, but 4 in operands[1]; the operands have shapes (2, "
        "3) and (4, 5)",
    ),
    Bad(
        "einsum",
        "minivision.einsum('ijk->k', x(2, 3))",
        ValueError,
        "einsum: 'ijk' in 'ijk->k' names 3 axes, but its operand of shape (2, 3) has 2",
    ),
    Bad(
        "einsum",
        "minivision.einsum('i->i', x(2, 3))",
        ValueError,
        "einsum: 'i' in 'i->i' names 1 axis, but its operand of shape (2, 3) has 2; write ... for axes in front",
    ),
    Bad(
        "einsum",
        "minivision.einsum('ij->kk', x(2, 3))",
        ValueError,
        "einsum: the result 'kk' of 'ij->kk' names 'k', which no operand has; it must name letters of the operands, each once",
    ),
    Bad(
        "einsum",
        "minivision.einsum('ij->ii', x(2, 3))",
        ValueError,
        "einsum: the result 'ii' of 'ij->ii' names 'i' twice; it must name letters of the operands, each once",
    ),
    Bad(
        "einsum",
        "minivision.einsum('i1', x(2, 3))",
        ValueError,
        "einsum: 'i1' in 'i1' must consist of letters and at most one '...'",
    ),
    Bad(
        "einsum",
        "minivision.einsum('ii', x(2, 3))",
        ValueError,
        "einsum: letter 'i' stands twice in 'ii', for the diagonal of axes 0 and 1, but the operand of shape (2, 3) has "
        "lengths 2 and 3 there",
    ),
    Bad(
        "einsum",
        "minivision.einsum('ij->ji->ij', x(2, 3))",
        ValueError,
        "einsum: 'ij->ji->ij' has more than one '->'; it stands once, before the result",
    ),
    Bad(
        "einsum",
        "minivision.einsum('...ij...', x(2, 3))",
        ValueError,
        "einsum: '...ij...' in '...ij...' must consist of letters and at most one '...'",
    ),
    Bad(
        "einsum",
        "minivision.einsum('ij,ij', x(2, 3), x64(2, 3))",
        TypeError,
        "einsum: operands[0] is float32 (2, 3), but operands[1] is float64 (2, 3); convert one of them, "
        "operands[1].to(operands[0].dtype)",
    ),
    Bad(
        "einsum",
        "minivision.einsum('ij,ij', mask(2, 3), mask(2, 3))",
        TypeError,
        "einsum: operands[0] is bool (2, 3), but must be numbers, not truth values; convert it with .int() or .float()",
    ),
    Bad(
        "einsum",
        "minivision.einsum(5, x(2, 3))",
        TypeError,
        "einsum: equation=5 must be text such as 'ij,jk->ik', or the first operand",
    ),
    Bad(
        "einsum",
        "minivision.einsum(x(2, 3))",
        ValueError,
        "einsum: an operand is given, but neither an equation such as 'ij->ji' before it nor a list of axes behind",
    ),
    Bad(
        "einsum",
        "minivision.einsum(x(2, 3), 'ij')",
        TypeError,
        "einsum: 'ij' stands in the place of a list of ints, the axes of an operand; write einsum('ij,jk->ik', a, b) or "
        "einsum(a, [0, 1], b, [1, 2])",
    ),
    Bad(
        "einsum",
        "minivision.einsum(x(2, 3), [0, 60])",
        ValueError,
        "einsum: axis 60 is beyond the 52 that have a letter",
    ),
    Bad(
        "einsum",
        "minivision.einsum('ij', None)",
        TypeError,
        "einsum: operands[0] is None, but must be a tensor (or an array, or numbers)",
    ),
    Bad(
        "tensordot",
        "minivision.tensordot(x(2, 3), x(4, 5), 1)",
        ValueError,
        "tensordot: axis 1 of a (2, 3) has length 3, but axis 0 of b (4, 5) has 4; axes that are multiplied and summed must "
        "be equally long",
    ),
    Bad(
        "tensordot",
        "minivision.tensordot(x(2, 3), x(3, 4), 3)",
        ValueError,
        "tensordot: dims=3 is out of range for a of shape (2, 3) and b of shape (3, 4); legal are 0 .. 2",
    ),
    Bad(
        "tensordot",
        "minivision.tensordot(x(2, 3), x(3, 4), -1)",
        ValueError,
        "tensordot: dims=-1 must be at least 0",
    ),
    Bad(
        "tensordot",
        "minivision.tensordot(x(2, 3), x(3, 4), 1.0)",
        TypeError,
        "tensordot: dims=1.0 must be an int, or two lists of axes, not float; for whole numbers divide with //, or round "
        "with int()",
    ),
    Bad(
        "tensordot",
        "minivision.tensordot(x(2, 3), x(3, 4), ([1], [0, 1]))",
        ValueError,
        "tensordot: dims ([1], [0, 1]) name 1 axis of a, but 2 of b; they must be equally many",
    ),
    Bad(
        "tensordot",
        "minivision.tensordot(x(2, 3), x(3, 4), ([1, 1], [0, 0]))",
        ValueError,
        "tensordot: dims[0] (1, 1) of shape (2, 3) names axis 1 twice; give each once",
    ),
    Bad(
        "tensordot",
        "minivision.tensordot(x(2, 3), x(3, 4), [1])",
        TypeError,
        "tensordot: dims=[1] must be an int, or two lists of axes, one of a and one of b",
    ),
    Bad(
        "tensordot",
        "minivision.tensordot(x(2, 3), x64(3, 4), 1)",
        TypeError,
        "tensordot: a is float32 (2, 3), but b is float64 (3, 4); convert one of them, b.to(a.dtype)",
    ),
    Bad(
        "outer",
        "minivision.outer(x(2, 2), x(3))",
        ValueError,
        "outer: input has shape (2, 2), but must be a vector; use matmul for other cases",
    ),
    Bad(
        "outer",
        "minivision.outer(x(2), None)",
        TypeError,
        "outer: vec2 is None, but must be a tensor (or an array, or numbers)",
    ),
    Bad(
        "dot",
        "minivision.dot(x(3), x(4))",
        ValueError,
        "dot: the inner lengths differ: 3 of input (3,) against 4 of tensor (4,); (n,) @ (n,) is needed",
    ),
    Bad(
        "dot",
        "minivision.dot(x(2, 3), x(3))",
        ValueError,
        "dot: input has shape (2, 3), but must be a vector; use matmul for other cases",
    ),
    Bad(
        "dot",
        "minivision.dot(x(3), x64(3))",
        TypeError,
        "dot: input is float32 (3,), but tensor is float64 (3,); convert one of them, tensor.to(input.dtype)",
    ),
    Bad(
        "dot",
        "minivision.dot(mask(3), mask(3))",
        TypeError,
        "dot: input is bool (3,), but must be numbers, not truth values; convert it with .int() or .float()",
    ),
    Bad(
        "inner",
        "minivision.inner(x(2, 3), x(4))",
        ValueError,
        "inner: the last axes differ: 3 of input (2, 3) against 4 of other (4,); use matmul for (..., n, m) @ (..., m, k)",
    ),
    Bad(
        "inner",
        "minivision.inner(x(3), labels(3))",
        TypeError,
        "inner: input is float32 (3,), but other is int64 (3,); convert one of them, other.to(input.dtype)",
    ),
    Bad(
        "mv",
        "minivision.mv(x(2, 3), x(2))",
        ValueError,
        "mv: the inner lengths differ: 3 of input (2, 3) against 2 of vec (2,); (n, m) @ (m,) is needed",
    ),
    Bad(
        "mv",
        "minivision.mv(x(3), x(3))",
        ValueError,
        "mv: input has shape (3,), but must be a matrix; use matmul for other cases",
    ),
    Bad(
        "mv",
        "minivision.mv(x(2, 3), labels(3))",
        TypeError,
        "mv: input is float32 (2, 3), but vec is int64 (3,); convert one of them, vec.to(input.dtype)",
    ),
    Bad(
        "kron",
        "minivision.kron(x(2), None)",
        TypeError,
        "kron: other is None, but must be a tensor (or an array, or numbers)",
    ),
    Bad(
        "kron",
        "minivision.kron('a', x(2))",
        TypeError,
        "kron: input is 'a' (str), but must be a tensor (or an array, or numbers)",
    ),
    Bad(
        "addmm",
        "minivision.addmm(x(2, 5), x(2, 3), x(3, 4))",
        ValueError,
        "addmm: input (2, 5) and the product (2, 4) do not broadcast: 5 against 4 at axis -1, where lengths must be equal or 1",
    ),
    Bad(
        "addmm",
        "minivision.addmm(x(4), x(2, 3), x(2, 4))",
        ValueError,
        "addmm: the inner lengths differ: 3 of mat1 (2, 3) against 2 of mat2 (2, 4); (n, m) @ (m, k) is needed",
    ),
    Bad(
        "addmm",
        "minivision.addmm(x64(4), x(2, 3), x(3, 4))",
        TypeError,
        "addmm: input is float64 (4,), but the product is float32; convert input with .to(minivision.float32)",
    ),
    Bad(
        "addmm",
        "minivision.addmm(x(4), x(2, 3), x(3, 4), beta='1')",
        TypeError,
        "addmm: beta='1' must be a number, not str",
    ),
    Bad(
        "addmm",
        "minivision.addmm(labels(4), labels(2, 3), labels(3, 4), alpha=0.5)",
        TypeError,
        "addmm: alpha=0.5 does not fit into int64, which holds no fractions; convert the tensor with .float()",
    ),
    Bad(
        "addmv",
        "minivision.addmv(x(3), x(2, 3), x(3))",
        ValueError,
        "addmv: input (3,) and the product (2,) do not broadcast: 3 against 2 at axis -1, where lengths must be equal or 1",
    ),
    Bad(
        "addmv",
        "minivision.addmv(x(2), x(2, 3), x(2))",
        ValueError,
        "addmv: the inner lengths differ: 3 of mat (2, 3) against 2 of vec (2,); (n, m) @ (m,) is needed",
    ),
    Bad(
        "addr",
        "minivision.addr(x(2, 2), x(2), x(3))",
        ValueError,
        "addr: input (2, 2) and the product (2, 3) do not broadcast: 2 against 3 at axis -1, where lengths must be equal or 1",
    ),
    Bad(
        "addr",
        "minivision.addr(x(2, 3), x(2, 2), x(3))",
        ValueError,
        "addr: vec1 has shape (2, 2), but must be a vector; use matmul for other cases",
    ),
    Bad(
        "baddbmm",
        "minivision.baddbmm(x(4), x(2, 2, 3), x(3, 3, 4))",
        ValueError,
        "baddbmm: the batches differ: 2 matrices of batch1 (2, 2, 3) against 3 of batch2 (3, 3, 4)",
    ),
    Bad(
        "baddbmm",
        "minivision.baddbmm(x(5), x(2, 2, 3), x(2, 3, 4))",
        ValueError,
        "baddbmm: input (5,) and the product (2, 2, 4) do not broadcast: 5 against 4 at axis -1, where lengths must be equal "
        "or 1",
    ),
    Bad(
        "addbmm",
        "minivision.addbmm(x(4), x(2, 2, 3), x(2, 2, 4))",
        ValueError,
        "addbmm: the inner lengths differ: 3 of batch1 (2, 2, 3) against 2 of batch2 (2, 2, 4); (N, n, m) @ (N, m, k) is needed",
    ),
    Bad(
        "addbmm",
        "minivision.addbmm(x(4), x(2, 3), x(3, 4))",
        ValueError,
        "addbmm: batch1 has shape (2, 3), but must be a batch of matrices (N, n, m); use matmul for other cases",
    ),
]
