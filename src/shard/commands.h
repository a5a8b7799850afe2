/* Carries out the admin side's commands to a shard (runtime/command.h). By the shard's thread. */
#ifndef SHARD_COMMANDS_H
#define SHARD_COMMANDS_H

struct shard;

/* Carries out at most COMMANDS_PER_TURN of those that wait. */
void commands_run(struct shard *shard);

#endif
