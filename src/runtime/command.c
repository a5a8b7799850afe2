#include "runtime/command.h"

#include "base/check.h"

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
	CHECK_EQ(atomic_load(&commands->count), 0);
	pthread_cond_destroy(&commands->done);
	pthread_mutex_destroy(&commands->lock);
}

/* ---- called by the thread that asks ---- */

static enum error command_push(struct commands *commands, struct command *command)
{
	if (commands->refusing)
		return ERROR_SERVER_STOPPING;
	if (atomic_load_explicit(&commands->count, memory_order_relaxed) == COMMANDS_WAITING_MAX)
		return ERROR_LIMIT;
	CHECK(*commands->end == NULL); /* the end is the last link of the list */
	command->next = NULL;
	command->state = COMMAND_WAITING;
	*commands->end = command;
	commands->end = &command->next;
	atomic_fetch_add(&commands->count, 1);
	return ERROR_OK;
}

static void unlink_command(struct commands *commands, const struct command *command)
{
	CHECK_GT(atomic_load_explicit(&commands->count, memory_order_relaxed), 0);
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

/* The lock is held. Once the shard has begun a command there is no timeout, because its work is bounded. */
static enum error command_await(struct commands *commands, struct command *command, const struct timespec *deadline)
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
	enum error error = command_push(commands, command);
	pthread_mutex_unlock(&commands->lock);
	if (error != ERROR_OK)
		return error;
	waker_wake(waker);
	pthread_mutex_lock(&commands->lock);
	error = command_await(commands, command, &deadline);
	pthread_mutex_unlock(&commands->lock);
	return error;
}

/* ---- called by the shard ---- */

struct command *commands_take(struct commands *commands)
{
	pthread_mutex_lock(&commands->lock);
	struct command *command = commands->first;
	if (command != NULL) {
		CHECK_EQ(command->state, COMMAND_WAITING);
		unlink_command(commands, command);
		command->state = COMMAND_RUNNING;
	}
	pthread_mutex_unlock(&commands->lock);
	return command;
}

void commands_finish(struct commands *commands, struct command *command, enum error result)
{
	pthread_mutex_lock(&commands->lock);
	CHECK_EQ(command->state, COMMAND_RUNNING);
	command->result = result;
	command->state = COMMAND_DONE;
	pthread_cond_broadcast(&commands->done);
	pthread_mutex_unlock(&commands->lock);
}

void commands_refuse(struct commands *commands)
{
	pthread_mutex_lock(&commands->lock);
	commands->refusing = true;
	pthread_mutex_unlock(&commands->lock);
	struct command *command;
	while ((command = commands_take(commands)) != NULL)
		commands_finish(commands, command, ERROR_SERVER_STOPPING);
}
