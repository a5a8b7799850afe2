/* What a program can know of a configuration without a gateway: whether it could start with it. */
#ifndef CONTROL_REHEARSAL_H
#define CONTROL_REHEARSAL_H

#include <stdbool.h>

struct settings;

/* Plans, and reads the certificates, keys, passwords and rules that the settings name, as gateway_new() would. Opens no
 * listener, store or file of revocations. False: the log says what is wrong. The process is to exit soon: nothing is
 * freed. Blocks on the disk. */
bool rehearse(const struct settings *settings);

#endif
