/* The generated code on the host: reads inputs from standard input, one inference after the other, and writes
 * the outputs to standard output, as raw tensors. Each inference begins with the model's first state.
 */
#include <stdio.h>
#include <string.h>

#include "ep_board.h"

int main(void) {
  for (;;) {
    ep_model_start(ep_arena);
    for (uint32_t i = 0; i < ep_golden_input_count; ++i) {
      const ep_span *const span = &ep_golden_inputs[i];
      if (fread(ep_arena + span->offset, 1, span->size, stdin) != span->size) {
        return i == 0 && feof(stdin) ? 0 : 1;
      }
    }
    ep_model_invoke(ep_arena);
    for (uint32_t i = 0; i < ep_golden_output_count; ++i) {
      const ep_span *const span = &ep_golden_outputs[i];
      if (fwrite(ep_arena + span->offset, 1, span->size, stdout) != span->size) {
        return 1;
      }
    }
  }
}
