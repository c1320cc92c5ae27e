// Ends a TCP connection with RST and nothing else, now.
//
// socket.resetAndDestroy() alone first ends the stream, so a FIN goes out ahead of the RST and the
// other side may take it for an orderly end; it also waits for unsent bytes, perhaps for ever. The
// first line keeps the FIN back, the last one does not wait.
'use strict';

function reset(socket) {
  if (socket.destroyed) return;
  socket._final = (done) => done();
  socket.resetAndDestroy();
  socket.destroy();
}

module.exports = { reset };
