/* Tiny net-1: a TensorFlow Lite model, written by edgeq VERSION.
 * sha256 SHA256 */
#ifndef TINY_NET_1_MODEL_H
#define TINY_NET_1_MODEL_H

/* The smallest tensor arena, in bytes, that AllocateTensors() succeeds with:
 * estimated for a 32-bit Arm with CMSIS-NN kernels (dsp build),
 * from the rules of tflite-micro 90b983c of 2026-08-20, CMSIS-NN 4ab83cc.
 * The head (activations and scratch) takes 48, the tail (what stays) 772:
 * MicroInterpreter::arena_used_bytes() should tell 820.
 * The arena itself must lie at a multiple of 16. */
#define TINY_NET_1_ARENA_BYTES 1280u

#define TINY_NET_1_MODEL_BYTES 1360u

#ifdef __cplusplus
extern "C" {
#endif

/* The model's file; the linker leaves it in flash. */
extern const unsigned char tiny_net_1_model[TINY_NET_1_MODEL_BYTES];

#ifdef __cplusplus
}
#endif

#endif
