#include "shard/commands.h"

#include "shard/command_clients.h"
#include "shard/command_publish.h"
#include "state/shard.h"

static enum error commands_carry_out(struct shard *shard, const struct command *command)
{
	switch (command->kind) {
	case COMMAND_LIST:
		return command_list_clients(shard, command->list);
	case COMMAND_INSPECT:
		return command_inspect_client(shard, command->client);
	case COMMAND_DISCONNECT:
		return command_end_client(shard, command->client, false);
	case COMMAND_END_SESSION:
		return command_end_client(shard, command->client, true);
	case COMMAND_PUBLISH:
		return command_publish(shard, command->publish);
	}
	return ERROR_SYSTEM;
}

void commands_run(struct shard *shard)
{
	struct commands *commands = &shard->shared.commands;
	for (uint32_t i = 0; i < COMMANDS_PER_TURN && commands_waiting(commands); i++) {
		struct command *command = commands_take(commands);
		if (command == NULL)
			return; /* it timed out in the meantime */
		/* The asker's memory stays valid until it is finished. */
		CHECK_EQ(command->state, COMMAND_RUNNING);
		commands_finish(commands, command, commands_carry_out(shard, command));
		COUNT(&shard->counters, commands);
	}
}
