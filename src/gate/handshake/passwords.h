/* Passwords that have to be hashed, which other threads do (access/password_workers.h): CONNECT is kept, and read again
 * with the verdict. Clients that come with the same one at the same time, as whole fleets do, wait for one verdict.
 * Gate's thread only. */
#ifndef GATE_HANDSHAKE_PASSWORDS_H
#define GATE_HANDSHAKE_PASSWORDS_H

#include "gate/handshake/handshake.h"

/* ERROR_NO_MEMORY. Does nothing where there are no hashes. */
enum error gate_passwords_open(struct gate *gate);
void gate_passwords_close(struct gate *gate);

/* Has the password checked that gate->sign_in has deferred. The bytes are kept, or the handshake is refused. */
void gate_passwords_submit(struct gate *gate, uint32_t index, struct slice bytes, size_t packet_bytes, uint8_t version);
/* A verdict has come: a correct password goes into the cache, where the next reading of CONNECT finds it. True: the
 * password file was replaced meanwhile, so that the verdict is no longer one, and the new file decides. */
bool gate_password_remember(struct gate *gate, const struct password_job *job);
/* Then for the job and each of its followers. True: CONNECT is to be read once more; else the handshake was refused, or
 * is over. */
bool gate_password_verdict(struct gate *gate, const struct password_job *waiting, enum error verdict, bool stale);

/* Clients of one address share a lane. Of an IPv6 address only the first 64 bits count. */
uint64_t gate_lane_of(const struct gate *gate, const struct handshake *handshake);

#endif
