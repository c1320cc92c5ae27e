// RequestSender: carries one signed request to a service and says what became of it.
//
// It holds what outlives a single request: the credentials in use and the offset
// between the service's clock and ours. A route's outer loop never gives up, so
// there is no retry in here: Trouble::kSignedAnew asks the route for the second try
// that renewed credentials or a corrected clock deserve.
// Depends on aws/ and the ports.
#ifndef EDDY_SRC_FORWARD_REQUEST_SENDER_H_
#define EDDY_SRC_FORWARD_REQUEST_SENDER_H_
