/* edgeq's own command on the wire, `edgeq VERB [ARGUMENTS]`. */
#ifndef EDGEQ_RUNTIME_EDGEQ_H
#define EDGEQ_RUNTIME_EDGEQ_H

#include "runtime/words.h"

/* Carry out what follows the word `edgeq` on a command line. */
void edgeq_command(words *line);

#endif
