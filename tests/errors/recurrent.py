"""Recurrent cells and layers."""

from tests.errors.table import Bad

BAD = [
    Bad(
        "rnn_tanh_cell",
        "minivision.rnn_tanh_cell(x(2, 5), x(2, 3), x(3, 4), x(3, 3))",
        ValueError,
        "rnn_tanh_cell: input (N, input_size) = (2, 5) has 5 features, but w_ih (hidden_size, input_size) = (3, 4) takes 4",
    ),
    Bad(
        "rnn_tanh_cell",
        "minivision.rnn_tanh_cell(x(2, 1, 4), x(2, 3), x(3, 4), x(3, 3))",
        ValueError,
        "rnn_tanh_cell: input has shape (2, 1, 4), but must be (N, input_size), or (input_size,) without a batch",
    ),
    Bad(
        "rnn_tanh_cell",
        "minivision.rnn_tanh_cell(x(2, 4), x(1, 3), x(3, 4), x(3, 3))",
        ValueError,
        "rnn_tanh_cell: hx has shape (1, 3), but must be (N, hidden_size) = (2, 3) for input (N, input_size) = (2, 4)",
    ),
    Bad(
        "rnn_tanh_cell",
        "minivision.rnn_tanh_cell(x(4), x(1, 3), x(3, 4), x(3, 3))",
        ValueError,
        "rnn_tanh_cell: hx has shape (1, 3), but must be (hidden_size,) = (3,) for input (input_size,) = (4,)",
    ),
    Bad(
        "rnn_tanh_cell",
        "minivision.rnn_tanh_cell(x(2, 4), x(2, 3), x(4, 3), x(3, 3))",
        ValueError,
        "rnn_tanh_cell: w_ih (hidden_size, input_size) = (4, 3) has 4 rows, but must have 3, as w_hh (3, 3) has",
    ),
    Bad(
        "rnn_tanh_cell",
        "minivision.rnn_tanh_cell(labels(2, 4), x(2, 3), x(3, 4), x(3, 3))",
        TypeError,
        "rnn_tanh_cell: input is int64 (2, 4), but must be floating: numbers of words or classes go through "
        "nn.Embedding first, others through .float()",
    ),
    Bad(
        "rnn_tanh_cell",
        "minivision.rnn_tanh_cell(None, x(2, 3), x(3, 4), x(3, 3))",
        TypeError,
        "rnn_tanh_cell: input is None, but must be a tensor (or an array, or numbers)",
    ),
    Bad(
        "rnn_relu_cell",
        "minivision.rnn_relu_cell(x(2, 4), x(2, 5), x(3, 4), x(3, 3))",
        ValueError,
        "rnn_relu_cell: hx has shape (2, 5), but must be (N, hidden_size) = (2, 3) for input (N, input_size) = (2, 4)",
    ),
    Bad(
        "rnn_relu_cell",
        "minivision.rnn_relu_cell(x(2, 4), x(2, 3), x(3, 4), x(3, 2))",
        ValueError,
        "rnn_relu_cell: w_hh (hidden_size, hidden_size) = (3, 2) has 2 columns, so it must have 2 rows",
    ),
    Bad(
        "rnn_relu_cell",
        "minivision.rnn_relu_cell(x(2, 4), x(2, 3), x(3, 4), x(3, 3), x(4), x(3))",
        ValueError,
        "rnn_relu_cell: b_ih has shape (4,), but must be (hidden_size,) = (3,)",
    ),
    Bad(
        "lstm_cell",
        "minivision.lstm_cell(x(2, 4), x(2, 3), x(12, 4), x(12, 3))",
        TypeError,
        "lstm_cell: hx must be the pair (h, c), since an LSTM carries two states, but is a float32 tensor of shape (2, 3)",
    ),
    Bad(
        "lstm_cell",
        "minivision.lstm_cell(x(2, 4), (x(2, 3),), x(12, 4), x(12, 3))",
        TypeError,
        "lstm_cell: hx must be the pair (h, c), since an LSTM carries two states, but is a tuple of 1",
    ),
    Bad(
        "lstm_cell",
        "minivision.lstm_cell(x(2, 4), (x(2, 3), x(2, 4)), x(12, 4), x(12, 3))",
        ValueError,
        "lstm_cell: hx[1] has shape (2, 4), but must be (N, hidden_size) = (2, 3) for input (N, input_size) = (2, 4)",
    ),
    Bad(
        "lstm_cell",
        "minivision.lstm_cell(x(2, 4), (x(2, 3), x(2, 3)), x(9, 4), x(9, 3))",
        ValueError,
        "lstm_cell: w_hh (4*hidden_size, hidden_size) = (9, 3) has 3 columns, so it must have 4 * 3 = 12 rows",
    ),
    Bad(
        "lstm_cell",
        "minivision.lstm_cell(x(2, 4), (x(2, 3), x(2, 3)), x(9, 4), x(12, 3))",
        ValueError,
        "lstm_cell: w_ih (4*hidden_size, input_size) = (9, 4) has 9 rows, but must have 12, as w_hh (12, 3) has",
    ),
    Bad(
        "lstm_cell",
        "minivision.lstm_cell(x(2, 4), (x(2, 3), x64(2, 3)), x(12, 4), x(12, 3))",
        TypeError,
        "lstm_cell: input is float32, but hx[1] is float64; convert one of them (.float(), .double(), or module.double())",
    ),
    Bad(
        "lstm_cell",
        "minivision.lstm_cell(x(2, 4), (x(2, 3), x(2, 3)), x(12, 4), x(12, 3), x(12), x(3))",
        ValueError,
        "lstm_cell: b_hh has shape (3,), but must be (4*hidden_size,) = (12,)",
    ),
    Bad(
        "gru_cell",
        "minivision.gru_cell(x(2, 4), x(2, 3), x(12, 4), x(12, 3))",
        ValueError,
        "gru_cell: w_hh (3*hidden_size, hidden_size) = (12, 3) has 3 columns, so it must have 3 * 3 = 9 rows",
    ),
    Bad(
        "gru_cell",
        "minivision.gru_cell(x(2, 3), x(2, 3), x(9, 4), x(9, 3))",
        ValueError,
        "gru_cell: input (N, input_size) = (2, 3) has 3 features, but w_ih (3*hidden_size, input_size) = (9, 4) takes 4",
    ),
    Bad(
        "gru_cell",
        "minivision.gru_cell(x(2, 4), x(3, 3), x(9, 4), x(9, 3))",
        ValueError,
        "gru_cell: hx has shape (3, 3), but must be (N, hidden_size) = (2, 3) for input (N, input_size) = (2, 4)",
    ),
    Bad(
        "gru_cell",
        "minivision.gru_cell(x(2, 4), (x(2, 3), x(2, 3)), x(9, 4), x(9, 3))",
        TypeError,
        "gru_cell: hx must be one tensor, but is a tuple of 2; only an LSTM takes a pair",
    ),
    Bad(
        "gru_cell",
        "minivision.gru_cell(x(2, 4), x(2, 3), x(9), x(9, 3))",
        ValueError,
        "gru_cell: w_ih has shape (9,), but must be (3*hidden_size, input_size)",
    ),
    Bad(
        "rnn_tanh",
        "minivision.rnn_tanh(x(5, 2, 4), x(1, 2, 3), (x(3, 4), x(3, 3)), True, 1, 0.0, False, False, False)",
        ValueError,
        "rnn_tanh: params has 2 tensors, but num_layers=1, bidirectional=False and has_biases=True take 1 * 4 of them: "
        "w_ih, w_hh, b_ih, b_hh for each layer and direction",
    ),
    Bad(
        "rnn_tanh",
        "minivision.rnn_tanh(x(5, 2, 4), x(1, 2, 3), (x(3, 4), x(3, 3)), False, 0, 0.0, False, False, False)",
        ValueError,
        "rnn_tanh: num_layers=0 must be at least 1",
    ),
    Bad(
        "rnn_tanh",
        "minivision.rnn_tanh(x(5, 2, 4), x(1, 2, 3), x(3, 4), False, 1, 0.0, False, False, False)",
        TypeError,
        "rnn_tanh: params must be a tuple of tensors, but is a float32 tensor of shape (3, 4)",
    ),
    Bad(
        "rnn_tanh",
        "minivision.rnn_tanh(x(5, 2, 4), x(2, 2, 3), (x(3, 4), x(3, 3), x(3, 4), x(3, 3)), False, 2, 0.0, False, False, False)",
        ValueError,
        "rnn_tanh: params[2] has shape (3, 4), but must be (3, 3): it reads the layer below, which hands on 1 * 3 features",
    ),
    Bad(
        "rnn_relu",
        "minivision.rnn_relu(x(0, 2, 4), x(1, 2, 3), (x(3, 4), x(3, 3)), False, 1, 0.0, False, False, False)",
        ValueError,
        "rnn_relu: input (T, N, input_size) = (0, 2, 4) has no steps, T = 0; a sequence needs at least one",
    ),
    Bad(
        "rnn_relu",
        "minivision.rnn_relu(x(5, 2, 4), x(2, 2, 3), (x(3, 4), x(3, 3), x(2, 3), x(2, 2)), False, 2, 0.0, False, False, False)",
        ValueError,
        "rnn_relu: params[2] has shape (2, 3), which means hidden_size=2, but that of the first layer is 3; all layers "
        "have the same",
    ),
    Bad(
        "lstm",
        "minivision.lstm(x(5, 2, 4), x(1, 2, 3), (x(12, 4), x(12, 3)), False, 1, 0.0, False, False, False)",
        TypeError,
        "lstm: hx must be the pair (h, c), since an LSTM carries two states, but is a float32 tensor of shape (1, 2, 3)",
    ),
    Bad(
        "lstm",
        "minivision.lstm(x(5, 2, 4), (x(1, 2, 3), x(1, 2, 3)), (x(12, 4), x(12, 3), x(2, 3)), False, 1, 0.0, False, "
        "False, False)",
        ValueError,
        "lstm: params[1] has shape (12, 3), but must be (4*hidden_size, proj_size) = (12, 2), since params[2] "
        "(proj_size, hidden_size) = (2, 3)",
    ),
    Bad(
        "gru",
        "minivision.gru(x(5, 2, 4), x(2, 2, 3), (x(9, 4), x(9, 3), x(9, 5), x(9, 3)), False, 1, 0.0, False, True, False)",
        ValueError,
        "gru: params[2] has shape (9, 5), but must be (9, 4): it reads the input, which has 4",
    ),
    Bad(
        "gru",
        "minivision.gru(x(5, 2, 4), x(1, 2, 3), (x(9, 4), x(9, 3)), False, 1, 1.5, True, False, False)",
        ValueError,
        "gru: dropout=1.5 is a probability and must lie in [0, 1]",
    ),
    Bad(
        "gru",
        'minivision.gru(x(5, 2, 4), x(1, 2, 3), (x(9, 4), x(9, 3)), False, 1, 0.0, "no", False, False)',
        TypeError,
        "gru: train='no' must be True or False, not str",
    ),
    Bad(
        "RNN",
        'nn.RNN(10, 20, nonlinearity="sigmoid")',
        ValueError,
        "RNN: nonlinearity='sigmoid' is unknown; use 'tanh' or 'relu'",
    ),
    Bad(
        "RNN",
        "nn.RNN(10, 20, num_layers=0)",
        ValueError,
        "RNN: num_layers=0 must be at least 1",
    ),
    Bad(
        "RNN",
        "nn.RNN(10, 20, 2, 0.5)",
        ValueError,
        "RNN: nonlinearity=0.5 is unknown; use 'tanh' or 'relu'",
    ),
    Bad(
        "RNN",
        "nn.RNN(10, 20).to(device)(x(5, 3, 12))",
        ValueError,
        "RNN: input (T, N, input_size) = (5, 3, 12) has 12 features, but weight_ih_l0 (hidden_size, input_size) = (20, "
        "10) takes 10",
    ),
    Bad(
        "RNN",
        "nn.RNN(10, 20).to(device)(x(1, 3, 5, 10))",
        ValueError,
        "RNN: input has shape (1, 3, 5, 10), but must be (T, N, input_size), or (T, input_size) without a batch",
    ),
    Bad(
        "RNN",
        "nn.RNN(10, 20).to(device)(x(10))",
        ValueError,
        "RNN: input has shape (10,), but must be (T, N, input_size), or (T, input_size) without a batch",
    ),
    Bad(
        "LSTM",
        "nn.LSTM(0, 20)",
        ValueError,
        "LSTM: input_size=0 must be at least 1",
    ),
    Bad(
        "LSTM",
        "nn.LSTM(10, 20.0)",
        TypeError,
        "LSTM: hidden_size=20.0 must be an int, not float; for whole numbers divide with //, or round with int()",
    ),
    Bad(
        "LSTM",
        'nn.LSTM(10, 20, "2")',
        TypeError,
        "LSTM: num_layers='2' must be an int, not str",
    ),
    Bad(
        "LSTM",
        "nn.LSTM(10, 20, 2, dropout=50)",
        ValueError,
        "LSTM: dropout=50 is a probability and must lie in [0, 1]",
    ),
    Bad(
        "LSTM",
        "nn.LSTM(10, 20, 2, dropout=True)",
        TypeError,
        "LSTM: dropout=True must be a number, not bool",
    ),
    Bad(
        "LSTM",
        "nn.LSTM(10, 20, 2, bias=None)",
        TypeError,
        "LSTM: bias=None must be True or False",
    ),
    Bad(
        "LSTM",
        'nn.LSTM(10, 20, batch_first="yes")',
        TypeError,
        "LSTM: batch_first='yes' must be True or False, not str",
    ),
    Bad(
        "LSTM",
        "nn.LSTM(10, 20, proj_size=20)",
        ValueError,
        "LSTM: proj_size=20 must be smaller than hidden_size=20; 0 means no projection",
    ),
    Bad(
        "LSTM",
        "nn.LSTM(10, 20, proj_size=-1)",
        ValueError,
        "LSTM: proj_size=-1 must be at least 0",
    ),
    Bad(
        "LSTM",
        "nn.LSTM(10, 20).to(device)(labels(5, 3))",
        TypeError,
        "LSTM: input is int64 (5, 3), but must be floating: numbers of words or classes go through nn.Embedding first, "
        "others through .float()",
    ),
    Bad(
        "LSTM",
        "nn.LSTM(10, 20).to(device)(labels(5, 3, 10))",
        TypeError,
        "LSTM: input is int64 (5, 3, 10), but must be floating: numbers of words or classes go through nn.Embedding "
        "first, others through .float()",
    ),
    Bad(
        "LSTM",
        "nn.LSTM(10, 20).to(device)(x64(5, 3, 10))",
        TypeError,
        "LSTM: input is float64, but weight_ih_l0 is float32; convert one of them (.float(), .double(), or module.double())",
    ),
    Bad(
        "LSTM",
        "nn.LSTM(10, 20).to(device)(x(3, 10, 5))",
        ValueError,
        "LSTM: input (T, N, input_size) = (3, 10, 5) has 5 features, but weight_ih_l0 (4*hidden_size, input_size) = "
        "(80, 10) takes 10",
    ),
    Bad(
        "LSTM",
        "nn.LSTM(10, 20).to(device)(x(0, 3, 10))",
        ValueError,
        "LSTM: input (T, N, input_size) = (0, 3, 10) has no steps, T = 0; a sequence needs at least one",
    ),
    Bad(
        "LSTM",
        "nn.LSTM(10, 20, batch_first=True).to(device)(x(3, 0, 10))",
        ValueError,
        "LSTM: input (N, T, input_size) = (3, 0, 10) has no steps, T = 0; a sequence needs at least one",
    ),
    Bad(
        "LSTM",
        "nn.LSTM(10, 20).to(device)(x(5, 3, 10), x(1, 3, 20))",
        TypeError,
        "LSTM: hx must be the pair (h, c), since an LSTM carries two states, but is a float32 tensor of shape (1, 3, 20)",
    ),
    Bad(
        "LSTM",
        "nn.LSTM(10, 20).to(device)(x(5, 3, 10), (x(3, 20), x(3, 20)))",
        ValueError,
        "LSTM: h_0 has shape (3, 20), but must be (num_layers, N, hidden_size) = (1, 3, 20) for input (T, N, "
        "input_size) = (5, 3, 10)",
    ),
    Bad(
        "LSTM",
        "nn.LSTM(10, 20).to(device)(x(5, 3, 10), (x(1, 3, 20), x(1, 3, 10)))",
        ValueError,
        "LSTM: c_0 has shape (1, 3, 10), but must be (num_layers, N, hidden_size) = (1, 3, 20) for input (T, N, "
        "input_size) = (5, 3, 10)",
    ),
    Bad(
        "LSTM",
        "nn.LSTM(10, 20, batch_first=True).to(device)(x(3, 5, 10), (x(3, 1, 20), x(3, 1, 20)))",
        ValueError,
        "LSTM: h_0 has shape (3, 1, 20), but must be (num_layers, N, hidden_size) = (1, 3, 20) for input (N, T, "
        "input_size) = (3, 5, 10); batch_first orders the axes of input and output, not those of the states",
    ),
    Bad(
        "LSTM",
        "nn.LSTM(10, 20, 2, bidirectional=True).to(device)(x(5, 3, 10), (x(2, 3, 20), x(2, 3, 20)))",
        ValueError,
        "LSTM: h_0 has shape (2, 3, 20), but must be (2*num_layers, N, hidden_size) = (4, 3, 20) for input (T, N, "
        "input_size) = (5, 3, 10)",
    ),
    Bad(
        "LSTM",
        "nn.LSTM(10, 20, proj_size=5).to(device)(x(5, 3, 10), (x(1, 3, 20), x(1, 3, 20)))",
        ValueError,
        "LSTM: h_0 has shape (1, 3, 20), but must be (num_layers, N, proj_size) = (1, 3, 5) for input (T, N, "
        "input_size) = (5, 3, 10)",
    ),
    Bad(
        "LSTM",
        "nn.LSTM(10, 20).to(device)(x(5, 10), (x(1, 1, 20), x(1, 1, 20)))",
        ValueError,
        "LSTM: h_0 has shape (1, 1, 20), but must be (num_layers, hidden_size) = (1, 20) for input (T, input_size) = (5, 10)",
    ),
    Bad(
        "GRU",
        "nn.GRU(10, 20).to(device)(x(5, 3, 10), (x(1, 3, 20), x(1, 3, 20)))",
        TypeError,
        "GRU: h_0 must be one tensor, but is a tuple of 2; only an LSTM takes a pair",
    ),
    Bad(
        "GRU",
        "nn.GRU(10, 20).to(device)(x(5, 3, 10), x(2, 3, 20))",
        ValueError,
        "GRU: h_0 has shape (2, 3, 20), but must be (num_layers, N, hidden_size) = (1, 3, 20) for input (T, N, "
        "input_size) = (5, 3, 10)",
    ),
    Bad(
        "GRU",
        "nn.GRU(10, 20).to(device)(x(5, 3, 10), x64(1, 3, 20))",
        TypeError,
        "GRU: input is float32, but h_0 is float64; convert one of them (.float(), .double(), or module.double())",
    ),
    Bad(
        "GRU",
        'nn.GRU(10, 20).to(device)("hello")',
        TypeError,
        "GRU: input is 'hello' (str), but must be a tensor (or an array, or numbers)",
    ),
    Bad(
        "RNNCell",
        'nn.RNNCell(10, 20, nonlinearity="gelu")',
        ValueError,
        "RNNCell: nonlinearity='gelu' is unknown; use 'tanh' or 'relu'",
    ),
    Bad(
        "RNNCell",
        'nn.RNNCell(10, 20, "relu")',
        TypeError,
        "RNNCell: bias='relu' must be True or False, not str",
    ),
    Bad(
        "RNNCell",
        "nn.RNNCell(10, 20).to(device)(x(3, 12))",
        ValueError,
        "RNNCell: input (N, input_size) = (3, 12) has 12 features, but weight_ih (hidden_size, input_size) = (20, 10) takes 10",
    ),
    Bad(
        "LSTMCell",
        "nn.LSTMCell(10, 0)",
        ValueError,
        "LSTMCell: hidden_size=0 must be at least 1",
    ),
    Bad(
        "LSTMCell",
        "nn.LSTMCell(10, 20).to(device)(x(5, 3, 10))",
        ValueError,
        "LSTMCell: input has shape (5, 3, 10), but must be (N, input_size), or (input_size,) without a batch",
    ),
    Bad(
        "LSTMCell",
        "nn.LSTMCell(10, 20).to(device)(x(3, 10), x(3, 20))",
        TypeError,
        "LSTMCell: hx must be the pair (h, c), since an LSTM carries two states, but is a float32 tensor of shape (3, 20)",
    ),
    Bad(
        "LSTMCell",
        "nn.LSTMCell(10, 20).to(device)(x(3, 10), (x(3, 20), x(3, 10)))",
        ValueError,
        "LSTMCell: hx[1] has shape (3, 10), but must be (N, hidden_size) = (3, 20) for input (N, input_size) = (3, 10)",
    ),
    Bad(
        "LSTMCell",
        "nn.LSTMCell(10, 20).to(device)(x(3, 10), (x(20), x(20)))",
        ValueError,
        "LSTMCell: hx[0] has shape (20,), but must be (N, hidden_size) = (3, 20) for input (N, input_size) = (3, 10)",
    ),
    Bad(
        "GRUCell",
        "nn.GRUCell(10, 20).to(device)(x(3, 10), x(1, 20))",
        ValueError,
        "GRUCell: hx has shape (1, 20), but must be (N, hidden_size) = (3, 20) for input (N, input_size) = (3, 10)",
    ),
    Bad(
        "GRUCell",
        "nn.GRUCell(10, 20).to(device)(x(10), x(1, 20))",
        ValueError,
        "GRUCell: hx has shape (1, 20), but must be (hidden_size,) = (20,) for input (input_size,) = (10,)",
    ),
    Bad(
        "GRUCell",
        "nn.GRUCell(-1, 20)",
        ValueError,
        "GRUCell: input_size=-1 must be at least 1",
    ),
]
