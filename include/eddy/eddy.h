// Everything of eddy::eddy in one include.
#ifndef EDDY_EDDY_H_
#define EDDY_EDDY_H_

#include "eddy/platform.h"     // IWYU pragma: export
#include "eddy/queue.h"        // IWYU pragma: export
#include "eddy/store.h"        // IWYU pragma: export
#include "eddy/stream.h"       // IWYU pragma: export
#include "eddy/transaction.h"  // IWYU pragma: export
#include "eddy/types.h"        // IWYU pragma: export

#endif  // EDDY_EDDY_H_
