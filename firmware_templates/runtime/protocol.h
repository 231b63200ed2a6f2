/* The wire protocol: the MLPerf Tiny device-under-test API, and edgeq's one command beside it. */
#ifndef EDGEQ_RUNTIME_PROTOCOL_H
#define EDGEQ_RUNTIME_PROTOCOL_H

/* Greet the host. */
void protocol_start(void);

/* Take one received byte; a '%' carries out the command it ends and replies. */
void protocol_byte(char byte);

#endif
