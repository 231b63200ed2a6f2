#include "kernels/edgeq_f32.h"
#include "kernels/edgeq_math.h"

static float product_sum(const float *weights, const float *values, int32_t count) {
  float sum = 0.0f;
  for (int32_t k = 0; k < count; ++k) sum += weights[k] * values[k];
  return sum;
}

static void step(const edgeq_lstm_f32_params *p, const float *in, float *hidden, float *cell, float *gates) {
  const int32_t n = p->units;
  for (int32_t at = 0; at < 4 * n; ++at) {
    float sum = p->bias[at] + product_sum(p->weights + at * p->inputs, in, p->inputs);
    sum += product_sum(p->recurrent + at * n, hidden, n);
    gates[at] = at / n == 2 ? edgeq_tanhf(sum) : 1.0f / (1.0f + edgeq_expf(-sum));
  }
  for (int32_t u = 0; u < n; ++u) {
    const float kept = gates[n + u] * cell[u];
    cell[u] = edgeq_clampf(kept + gates[u] * gates[2 * n + u], -p->clip, p->clip);
    hidden[u] = edgeq_tanhf(cell[u]) * gates[3 * n + u];
  }
}

void edgeq_lstm_f32(const edgeq_lstm_f32_params *p, const float *in, float *hidden, float *cell, float *out,
                    float *gates) {
  for (int32_t n = 0; n < p->batches; ++n) {
    for (int32_t t = 0; t < p->steps; ++t) {
      const int32_t at = p->time_major ? t * p->batches + n : n * p->steps + t;
      step(p, in + at * p->inputs, hidden + n * p->units, cell + n * p->units, gates);
      for (int32_t u = 0; u < p->units; ++u) out[at * p->units + u] = hidden[n * p->units + u];
    }
  }
}
