// The operators of tiny_net_1, and no others: tflite-micro 90b983c of 2026-08-20, CMSIS-NN 4ab83cc.
#ifndef TINY_NET_1_RESOLVER_H
#define TINY_NET_1_RESOLVER_H

#include "tensorflow/lite/micro/micro_mutable_op_resolver.h"

namespace tiny_net_1_tflm {

using OpResolver = tflite::MicroMutableOpResolver<3>;

inline TfLiteStatus RegisterOps(OpResolver& resolver) {
  if (resolver.AddConv2D() != kTfLiteOk) return kTfLiteError;
  if (resolver.AddRelu() != kTfLiteOk) return kTfLiteError;
  if (resolver.AddFullyConnected() != kTfLiteOk) return kTfLiteError;
  return kTfLiteOk;
}

}  // namespace tiny_net_1_tflm

#endif
