// The outer form of every request of the JSON protocols, unsigned. Pure.
#ifndef EDDY_SRC_AWS_SERVICE_REQUEST_H_
#define EDDY_SRC_AWS_SERVICE_REQUEST_H_

#include <string>
#include <string_view>

#include "eddy/http.h"
#include "src/aws/endpoint.h"

namespace eddy::aws {

// POST / with X-Amz-Target `target` ("AmazonSQS.SendMessageBatch") and the
// Content-Type of JSON `version` ("1.0" for SQS, "1.1" for Kinesis).
HttpRequest ServiceRequest(const Endpoint& endpoint, std::string_view target,
                           std::string_view version, std::string body);

}  // namespace eddy::aws

#endif  // EDDY_SRC_AWS_SERVICE_REQUEST_H_
