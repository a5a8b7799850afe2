/* Clients about whom somebody outside is asked (access/authority.h): the gate goes on with others meanwhile, and reads
 * CONNECT again when the answer is there. Gate's thread only. */
#ifndef GATE_HANDSHAKE_ASKING_H
#define GATE_HANDSHAKE_ASKING_H

#include "gate/handshake/handshake.h"

/* Asks about the client whose credentials gate->sign_in.asked has. True: the answer is known, and CONNECT is to be read
 * again at once; else the bytes are kept, or the handshake is refused. */
bool gate_ask(struct gate *gate, uint32_t index, struct slice bytes, size_t packet_bytes, uint8_t version);
/* The answer has come. True: CONNECT is to be read once more; else the handshake was refused, or is over. */
bool gate_ask_answered(struct gate *gate, struct authority_job *job);

#endif
