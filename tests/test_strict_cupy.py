"""The strict stand-in refuses what CuPy refuses and computes what CuPy computes.

Every refusal stands for a mistake that works on NumPy and breaks on a GPU. Expected values are written out by hand.
"""

from __future__ import annotations

import copy
import operator
import pickle

import numpy as np
import pytest

from minivision import backend
from tests.cupy_names import NAMES
from tests.strict_cupy import ndarray
from tests.strict_cupy import strict_cupy as cp


@pytest.fixture
def x() -> ndarray:
    """[[0, 1, 2], [3, 4, 5]] in float64."""
    return cp.asarray(np.arange(6.0).reshape(2, 3))


HOST = np.ones((2, 3))


class TestNothingCrossesByItself:
    @pytest.mark.parametrize("convert", [np.asarray, np.array, np.ascontiguousarray, lambda x: np.array([x[0], x[1]])])
    def test_no_implicit_conversion_to_numpy(self, x, convert):
        with pytest.raises(TypeError):
            convert(x)

    def test_message_of_implicit_conversion_is_cupys(self, x):
        with pytest.raises(TypeError, match=r"Implicit conversion to a NumPy array is not allowed.*`\.get\(\)`"):
            np.asarray(x)

    def test_it_is_no_numpy_array_and_offers_no_interface(self, x):
        assert not isinstance(x, np.ndarray)
        for name in ("__array_interface__", "__array_struct__", "__buffer__", "__index__", "ctypes", "tobase"):
            assert not hasattr(x, name)

    @pytest.mark.parametrize(
        "call",
        [
            lambda x: np.exp(x),
            lambda x: np.add(x, 1.0),
            lambda x: np.add.reduce(x),
            lambda x: np.sum(x),
            lambda x: np.concatenate([x, x]),
            lambda x: np.reshape(x, 6),
            lambda x: np.where(x, 1, 2),
            lambda x: np.result_type(x, np.float32),
            lambda x: np.zeros_like(x),
            lambda x: np.einsum("ij->i", x),
            lambda x: np.lib.stride_tricks.sliding_window_view(x, (1, 1)),
        ],
    )
    def test_numpy_functions_refuse_it(self, x, call):
        with pytest.raises(TypeError):
            call(x)

    @pytest.mark.parametrize(
        "call",
        [
            lambda x: x + HOST,
            lambda x: HOST + x,
            lambda x: x @ HOST.T,
            lambda x: HOST.T @ x,
            lambda x: x == HOST,
            lambda x: operator.lt(HOST, x),
            lambda x: cp.add(x, HOST),
            lambda x: cp.maximum(HOST, x),
            lambda x: cp.exp(HOST),
            lambda x: cp.exp(x, out=np.empty((2, 3))),
            lambda x: cp.exp(x, np.empty((2, 3))),
            lambda x: cp.sum(HOST),
            lambda x: cp.sum(x, out=np.empty(())),
            lambda x: cp.matmul(x, HOST.T),
            lambda x: cp.tensordot(x, HOST, 2),
            lambda x: cp.einsum("ij,ij->", x, HOST),
            lambda x: cp.concatenate([x, HOST]),
            lambda x: cp.stack((HOST, x)),
            lambda x: cp.where(x > 2, x, HOST),
            lambda x: cp.where(HOST > 2, x, 0.0),
            lambda x: cp.take(x, np.array([0])),
            lambda x: x.take(np.array([0])),
            lambda x: cp.take_along_axis(x, np.zeros((2, 3), int), 1),
            lambda x: cp.add.at(x, cp.asarray([0]), HOST[:1]),
            lambda x: cp.broadcast_to(HOST, (2, 2, 3)),
            lambda x: cp.linalg.norm(HOST),
            lambda x: cp.lib.stride_tricks.as_strided(HOST, (2,), (8,)),
            lambda x: x.dot(HOST.T),
            lambda x: x.__iadd__(HOST),
            lambda x: x.fill(HOST),
        ],
    )
    def test_a_numpy_array_is_refused_in_every_place(self, x, call):
        with pytest.raises(TypeError):
            call(x)

    def test_augmented_assignment_to_a_numpy_array_is_refused(self, x):
        host = np.ones((2, 3))
        with pytest.raises(TypeError):
            host += x

    @pytest.mark.parametrize("index", [np.array([0]), np.array([True, False]), (slice(None), np.array([1]))])
    def test_numpy_index_arrays_are_refused(self, x, index):
        with pytest.raises(TypeError, match="NumPy array as index"):
            x[index]
        with pytest.raises(TypeError, match="NumPy array as index"):
            x[index] = 0.0
        with pytest.raises(TypeError, match="NumPy array as index"):
            cp.add.at(x, index, 1.0)

    @pytest.mark.parametrize("value", [HOST, HOST[:1], np.array(1.0), [1.0, 2.0, 3.0]])
    def test_assignment_takes_stand_ins_and_numbers_only(self, x, value):
        with pytest.raises(TypeError):
            x[...] = value
        np.testing.assert_array_equal(x.get(), np.arange(6.0).reshape(2, 3))

    @pytest.mark.parametrize(
        "call",
        [
            lambda: cp.exp([1.0]),
            lambda: cp.sum([1.0]),
            lambda: cp.sum(1.0),
            lambda: cp.reshape([1.0], (1, 1)),
            lambda: cp.where(True, 1.0, 2.0),
            lambda: operator.add(cp.ones(3), [1.0, 2.0, 3.0]),
            lambda: cp.ones(3) @ [1.0, 2.0, 3.0],
            lambda: cp.add(cp.ones(3), None),
        ],
    )
    def test_lists_and_bare_numbers_are_no_arrays(self, call):
        with pytest.raises(TypeError):
            call()

    def test_the_ways_in_and_out_copy(self):
        host = np.array([1.0, 2.0])
        x = cp.asarray(host)
        host[0] = 9.0
        out = x.get()
        out[1] = 9.0
        np.testing.assert_array_equal(cp.asnumpy(x), [1.0, 2.0])
        assert cp.asarray(x) is x
        assert cp.array(x) is not x
        np.testing.assert_array_equal(cp.asarray([x, 2 * x]).get(), [[1.0, 2.0], [2.0, 4.0]])
        assert cp.asarray(np.float32(3)).shape == ()


class TestNamesAndKeywords:
    @pytest.mark.parametrize(
        "name",
        ["errstate", "nditer", "unstack", "vecdot", "insert", "block", "einsum_path", "scatter_add", "np"],
    )
    def test_names_that_cupy_lacks(self, name):
        with pytest.raises(AttributeError, match=f"module 'cupy' has no attribute '{name}'"):
            getattr(cp, name)

    @pytest.mark.parametrize(
        "call",
        [
            lambda x: cp.sum(x, initial=0.0),
            lambda x: cp.sum(x, where=x > 1),
            lambda x: cp.max(x, initial=0.0),
            lambda x: cp.mean(x, where=x > 1),
            lambda x: cp.var(x, correction=1),
            lambda x: cp.clip(x, min=0.0),
            lambda x: cp.einsum("ij->i", x, out=x),
            lambda x: cp.unique(x, sorted=True),
            lambda x: cp.add(x, 1.0, where=x > 1),
            lambda x: cp.exp(x, order="F"),
            lambda x: cp.pad(x, 1, padder=2),
            lambda x: x.sum(initial=0.0),
            lambda x: x.max(where=x > 1),
            lambda x: x.var(correction=1),
            lambda x: x.item(0),
            lambda x: cp.lib.stride_tricks.as_strided(x, (2,), (8,), writeable=False),
        ],
    )
    def test_keywords_that_cupy_lacks(self, x, call):
        with pytest.raises(TypeError):
            call(x)

    @pytest.mark.parametrize("name", ["maximum", "minimum", "logical_and", "exp", "bitwise_or"])
    @pytest.mark.parametrize("method", ["reduce", "accumulate", "reduceat"])
    def test_ufunc_methods_that_cupy_lacks(self, name, method):
        with pytest.raises(NotImplementedError):
            getattr(getattr(cp, name), method)(cp.ones(3), [0])

    def test_scatter_is_limited_to_some_ufuncs_and_dtypes(self):
        index = cp.asarray([0])
        with pytest.raises(NotImplementedError):
            cp.multiply.at(cp.ones(3), index, 2.0)
        with pytest.raises(TypeError, match="int16"):
            cp.add.at(cp.ones(3, dtype=np.int16), index, 1)

    @pytest.mark.parametrize("name", ["writeable", "aligned"])
    def test_flags_that_cupy_lacks(self, x, name):
        assert not hasattr(x.flags, name)
        assert x.flags.c_contiguous
        assert not x.T.flags["C_CONTIGUOUS"]

    def test_no_attributes_can_be_added(self, x):
        with pytest.raises(AttributeError):
            x.version = 1

    def test_every_public_name_of_the_class_is_cupys(self):
        class Empty:
            __slots__ = ("__weakref__", "_host")

        ours = vars(ndarray).keys() - vars(Empty).keys() - vars(object).keys()
        assert {name for name in ours if f"ndarray.{name}" not in NAMES} == set()

    def test_random_raises(self):
        with pytest.raises(RuntimeError, match="draw on the host"):
            cp.random.default_rng(0)
        with pytest.raises(AttributeError):
            cp.random.no_such_distribution  # noqa: B018

    def test_kernels_raise(self):
        with pytest.raises(NotImplementedError, match="strict stand-in"):
            cp.RawKernel("", "f")


class TestBehaviourThatDiffersFromNumPy:
    def test_reductions_give_0d_arrays(self, x):
        for result in (x.sum(), cp.mean(x), x.max(), x.argmax(), x[1, 2], cp.allclose(x, x), cp.count_nonzero(x)):
            assert isinstance(result, ndarray)
            assert result.shape == ()
        assert float(x.sum()) == 15.0
        assert x.argmax().item() == 5
        assert f"{x.mean():.2f}" == "2.50"

    def test_0d_arrays_are_no_indices(self, x):
        with pytest.raises(TypeError):
            [1, 2, 3][x.argmax()]
        with pytest.raises(TypeError):
            range(x.argmax())

    def test_an_element_is_a_view(self, x):
        element = x[0, 1]
        element[...] = 7.0
        assert x.tolist() == [[0.0, 7.0, 2.0], [3.0, 4.0, 5.0]]

    def test_integer_index_arrays_wrap(self, x):
        assert x[cp.asarray([2, -1])].tolist() == [[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]]
        assert x[:, cp.asarray([3])].tolist() == [[0.0], [3.0]]
        assert x[..., cp.asarray([4])].tolist() == [[1.0], [4.0]]
        assert cp.take(x, cp.asarray([4]), axis=1).tolist() == [[1.0], [4.0]]
        cp.add.at(x, (cp.asarray([2, 2]), cp.asarray([3, 3])), 1.0)
        assert x[0].tolist() == [2.0, 1.0, 2.0]

    def test_integers_do_not_wrap(self, x):
        with pytest.raises(IndexError):
            x[2]

    def test_the_first_of_two_writes_to_one_place_stays(self):
        a = cp.zeros((2, 2))
        a[cp.asarray([0, 1, 0])] = cp.asarray([[1.0, 1.0], [2.0, 2.0], [3.0, 3.0]])
        assert a.tolist() == [[1.0, 1.0], [2.0, 2.0]]

    def test_one_mask_but_not_two(self, x):
        rows, columns = cp.asarray([True, False]), cp.asarray([True, False, True])
        assert x[x > 3].tolist() == [4.0, 5.0]
        assert x[rows].tolist() == [[0.0, 1.0, 2.0]]
        with pytest.raises(NotImplementedError):
            x[rows, columns]

    def test_elementwise_results_are_c_contiguous(self, x):
        assert (x.T + 1).flags.c_contiguous
        assert cp.exp(x.T).strides == (16, 8)
        assert x.T.copy().flags.c_contiguous
        assert x.T.astype(np.float32).strides == (4, 12)
        assert cp.where(x.T > 1, x.T, 0.0).flags.c_contiguous

    def test_a_transfer_keeps_c_and_f_order_only(self):
        channels_last = np.moveaxis(np.zeros((2, 4, 5, 3)), -1, 1)
        assert cp.asarray(channels_last).flags.c_contiguous
        assert cp.asarray(np.zeros((2, 3)).T).flags.f_contiguous

    def test_empty_is_not_zero(self):
        assert np.isnan(cp.empty(3).get()).all()
        assert (cp.empty_like(cp.zeros(3, dtype=np.int64)).get() != 0).all()

    def test_no_warnings(self, recwarn):
        assert cp.log(cp.zeros(1)).tolist() == [-np.inf]
        assert np.isnan((cp.zeros(1) / cp.zeros(1)).get()).all()
        assert len(recwarn) == 0


class TestValues:
    def test_operators(self, x):
        values = x.get()
        one = np.float32(1)
        for result, expected in (
            (one + x, values + 1),
            (2.0 - x, 2 - values),
            (x**2, values**2),
            (1 / (x + 1), 1 / (values + 1)),
            (-x, -values),
            (abs(x - 3), abs(values - 3)),
            (x // 2, values // 2),
            (x % 2, values % 2),
            (~(x > 2), values <= 2),
            ((x > 1) & (x < 4), (values > 1) & (values < 4)),
            (x @ x.T, values @ values.T),
        ):
            assert isinstance(result, ndarray)
            assert result.dtype == expected.dtype
            np.testing.assert_array_equal(result.get(), expected)
        assert (cp.ones(2, dtype=np.float32) * 2.0).dtype == np.float32

    def test_in_place_operators_keep_the_array(self, x):
        same, view = x, x[0]
        x += 1.0
        x *= x
        assert x is same
        assert view.tolist() == [1.0, 4.0, 9.0]
        with pytest.raises(TypeError, match="same_kind"):
            cp.ones(2, dtype=np.int64).__iadd__(0.5)

    def test_out_is_returned_itself(self, x):
        out = cp.empty((2, 3))
        assert cp.multiply(x, 2.0, out=out) is out
        assert out[1].tolist() == [6.0, 8.0, 10.0]
        total = cp.empty(())
        assert cp.sum(x, out=total) is total
        assert float(total) == 15.0
        assert cp.add(x, x, x) is x

    def test_reduce_at_outer(self, x):
        assert cp.add.reduce(x).tolist() == [3.0, 5.0, 7.0]
        assert cp.add.accumulate(x, axis=1)[1].tolist() == [3.0, 7.0, 12.0]
        assert cp.multiply.outer(x[0], x[1]).tolist() == [[0, 0, 0], [3, 4, 5], [6, 8, 10]]
        a = cp.zeros(3)
        cp.add.at(a, cp.asarray([1, 1, 2]), cp.asarray([1.0, 2.0, 4.0]))
        assert a.tolist() == [0.0, 3.0, 4.0]
        cp.maximum.at(a, cp.asarray([0]), 8.0)
        assert a.tolist() == [8.0, 3.0, 4.0]

    def test_views_share_memory(self, x):
        windows = cp.lib.stride_tricks.sliding_window_view(x, (2, 2))
        assert windows.shape == (1, 2, 2, 2)
        assert windows[0, 1].tolist() == [[1.0, 2.0], [4.0, 5.0]]
        rows = cp.lib.stride_tricks.as_strided(x, (3, 2), (8, 24))
        rows[0, 1] = -1.0
        assert float(x[1, 0]) == -1.0
        assert cp.may_share_memory(x, windows) is True
        assert cp.shares_memory(x, x.copy()) is False
        for view in (x.T, x.reshape(3, 2), x[::-1], cp.transpose(x), x.ravel(), cp.broadcast_to(x, (2, 2, 3))):
            assert cp.shares_memory(view, x)
        assert x[:1].base is not None

    def test_functions_that_return_several_arrays(self, x):
        left, right = cp.split(x, [1], axis=1)
        assert left.tolist() == [[0.0], [3.0]]
        assert right.shape == (2, 2)
        values, counts = cp.unique(x % 2, return_counts=True)
        assert values.tolist() == [0.0, 1.0]
        assert counts.tolist() == [3, 3]
        rows, columns = cp.nonzero(x > 3)
        assert rows.tolist() == [1, 1]
        assert columns.tolist() == [1, 2]
        fraction, exponent = cp.frexp(x[1, :1])
        assert (fraction.tolist(), exponent.tolist()) == ([0.75], [2])

    def test_empty_index_and_empty_array(self):
        assert cp.zeros((0, 3)).sum(axis=0).tolist() == [0.0, 0.0, 0.0]
        assert cp.zeros((3, 2))[cp.zeros(0, dtype=np.int64)].shape == (0, 2)

    def test_copies_and_pickles(self, x):
        for other in (copy.copy(x), copy.deepcopy(x), pickle.loads(pickle.dumps(x))):
            assert isinstance(other, ndarray)
            assert not cp.shares_memory(other, x)
            assert other.tolist() == x.tolist()

    def test_iteration_and_length(self, x):
        assert [row.tolist() for row in x] == [[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]]
        assert len(x) == 2
        with pytest.raises(TypeError):
            iter(x.sum())

    def test_types_and_constants_are_numpys(self):
        assert cp.float32 is np.float32
        assert cp.pi == np.pi
        assert cp.newaxis is None
        assert cp.result_type(cp.ones(2, dtype=np.float32), np.float64) == np.float64

    def test_devices(self, x):
        assert cp.cuda.is_available()
        assert cp.cuda.runtime.getDeviceCount() == 1
        assert x.device == cp.cuda.Device(0)
        assert x.device.id == 0
        with pytest.raises(RuntimeError, match="invalid device ordinal"), cp.cuda.Device(1):
            pass

    def test_calls_are_listed(self, x):
        cp.calls.clear()
        _ = x @ x.T
        assert list(cp.calls) == [("matmul", ((2, 3), (3, 2)))]


class TestWithTheBackend:
    """`backend.py` takes the stand-in for CuPy."""

    @pytest.fixture(autouse=True)
    def strict(self, monkeypatch):
        monkeypatch.setattr(backend, "cupy", lambda: cp)

    def test_dispatch(self, x):
        assert backend.xp_of(x, 3.0) is cp
        assert backend.xp_of(HOST) is np
        with pytest.raises(TypeError, match="different devices"):
            backend.xp_of(x, HOST)

    def test_there_and_back(self):
        there = backend.to_device(HOST, "cuda")
        assert isinstance(there, ndarray)
        np.testing.assert_array_equal(backend.to_numpy(there), HOST)
