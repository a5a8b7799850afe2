#include "gateway/command.h"

#include "base/check.h"
#include "gateway/command_clients.h"
#include "gateway/command_publish.h"
#include "gateway/shard.h"

#include <errno.h>
#include <time.h>

void commands_open(struct commands *commands)
{
	*commands = (struct commands){.end = &commands->first};
	pthread_condattr_t attributes;
	CHECK(pthread_mutex_init(&commands->lock, NULL) == 0);
	CHECK(pthread_condattr_init(&attributes) == 0);
	CHECK(pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) == 0);
	CHECK(pthread_cond_init(&commands->done, &attributes) == 0);
	pthread_condattr_destroy(&attributes);
}

void commands_close(struct commands *commands)
{
	CHECK(commands->first == NULL);
	pthread_cond_destroy(&commands->done);
	pthread_mutex_destroy(&commands->lock);
}

/* ---- by the thread that asks ---- */

static enum error push(struct commands *commands, struct command *command)
{
	if (commands->refusing)
		return ERROR_SERVER_STOPPING;
	if (atomic_load_explicit(&commands->count, memory_order_relaxed) == COMMANDS_WAITING_MAX)
		return ERROR_LIMIT;
	command->next = NULL;
	command->state = COMMAND_WAITING;
	*commands->end = command;
	commands->end = &command->next;
	atomic_fetch_add(&commands->count, 1);
	return ERROR_OK;
}

static void unlink_command(struct commands *commands, const struct command *command)
{
	struct command **link = &commands->first;
	while (*link != command) {
		CHECK(*link != NULL);
		link = &(*link)->next;
	}
	*link = command->next;
	if (command->next == NULL)
		commands->end = link;
	atomic_fetch_sub(&commands->count, 1);
}

static struct timespec deadline_in(uint32_t timeout_ms)
{
	struct timespec at;
	clock_gettime(CLOCK_MONOTONIC, &at);
	uint64_t ns = (uint64_t)at.tv_nsec + (uint64_t)timeout_ms * 1000000u;
	at.tv_sec += (time_t)(ns / 1000000000u);
	at.tv_nsec = (long)(ns % 1000000000u);
	return at;
}

/* With the lock held. A command that the shard has begun is waited for: its work is bounded. */
static enum error await(struct commands *commands, struct command *command, const struct timespec *deadline)
{
	int waited = 0;
	while (command->state != COMMAND_DONE) {
		if (waited == ETIMEDOUT && command->state == COMMAND_WAITING) {
			unlink_command(commands, command);
			return ERROR_TIMEOUT;
		}
		waited = command->state == COMMAND_RUNNING
				 ? pthread_cond_wait(&commands->done, &commands->lock)
				 : pthread_cond_timedwait(&commands->done, &commands->lock, deadline);
	}
	return command->result;
}

enum error command_do(struct command *command, struct commands *commands, struct waker *waker, uint32_t timeout_ms)
{
	struct timespec deadline = deadline_in(timeout_ms);
	pthread_mutex_lock(&commands->lock);
	enum error error = push(commands, command);
	pthread_mutex_unlock(&commands->lock);
	if (error != ERROR_OK)
		return error;
	waker_wake(waker);
	pthread_mutex_lock(&commands->lock);
	error = await(commands, command, &deadline);
	pthread_mutex_unlock(&commands->lock);
	return error;
}

/* ---- by the shard ---- */

static enum error carry_out(struct shard *shard, const struct command *command)
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

static struct command *take(struct commands *commands)
{
	pthread_mutex_lock(&commands->lock);
	struct command *command = commands->first;
	if (command != NULL) {
		unlink_command(commands, command);
		command->state = COMMAND_RUNNING;
	}
	pthread_mutex_unlock(&commands->lock);
	return command;
}

static void finish(struct commands *commands, struct command *command, enum error result)
{
	pthread_mutex_lock(&commands->lock);
	command->result = result;
	command->state = COMMAND_DONE;
	pthread_cond_broadcast(&commands->done);
	pthread_mutex_unlock(&commands->lock);
}

void commands_run(struct commands *commands, struct shard *shard)
{
	for (uint32_t i = 0; i < COMMANDS_A_TURN && commands_waiting(commands); i++) {
		struct command *command = take(commands);
		if (command == NULL)
			return; /* its time was over just now */
		finish(commands, command, carry_out(shard, command));
		COUNT(&shard->counters, commands);
	}
}

void commands_refuse(struct commands *commands)
{
	pthread_mutex_lock(&commands->lock);
	commands->refusing = true;
	pthread_mutex_unlock(&commands->lock);
	struct command *command;
	while ((command = take(commands)) != NULL)
		finish(commands, command, ERROR_SERVER_STOPPING);
}
