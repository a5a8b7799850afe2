#!/bin/sh
# natsMsg_Destroy() frees nothing: it hands the message to a thread of the library's, and wakes that thread for each.
#
# Software:  libnats3.4 3.4.1-1+b1, nats-server 2.9.10-1+b3 (Debian 12).
# Expected:  A message that natsSubscription_NextMsg() returned or natsMsg_Create() made belongs to the caller, and natsMsg_Destroy()
#            frees it where it is called: a few tens of nanoseconds.
# Behaviour: The message goes to a list of the library's garbage collector, whose thread wakes up, frees it and sleeps again. Where messages
#            come one at a time each costs switches of context besides its own work. A program that is to be cheap with few messages has to
#            gather them and destroy many at once; then the thread is woken once for many of them.
# Output seen:
#   received, destroyed one at a time: other threads slept at least once a message
#   received, destroyed at once: other threads slept less than half as often as there were messages
#   made here, destroyed one at a time: other threads slept at least once a message
#
# Exit status: 0 the behaviour holds, 1 it has changed, 2 it cannot be shown here.
set -eu
command -v nats-server >/dev/null || { echo "nats-server is needed"; exit 2; }
dir=$(mktemp -d)
server=
trap 'test -z "$server" || kill "$server"; rm -rf "$dir"' EXIT
cd "$dir"

cat >free.c <<'C'
#define _GNU_SOURCE
#include <nats/nats.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#define MESSAGES 500

static natsMsg *messages[MESSAGES];

/* Of all threads but this one, of their own accord. */
static long switches(void)
{
	struct rusage all, own;
	getrusage(RUSAGE_SELF, &all);
	getrusage(RUSAGE_THREAD, &own);
	return all.ru_nvcsw - own.ru_nvcsw;
}

static void receive(natsConnection *connection, natsSubscription *subscription)
{
	for (int i = 0; i < MESSAGES; i++)
		natsConnection_PublishString(connection, "a", "payload");
	natsConnection_Flush(connection);
	for (int i = 0; i < MESSAGES; i++) {
		if (natsSubscription_NextMsg(&messages[i], subscription, 2000) != NATS_OK)
			exit(2);
	}
	usleep(200000);
}

static long destroy(unsigned pause_us)
{
	long before = switches();
	for (int i = 0; i < MESSAGES; i++) {
		natsMsg_Destroy(messages[i]);
		if (pause_us != 0)
			usleep(pause_us);
	}
	usleep(100000);
	return switches() - before;
}

static void show(const char *what, long slept)
{
	printf("%s: other threads slept %s\n", what,
	       slept >= MESSAGES       ? "at least once a message"
	       : slept < MESSAGES / 2 ? "less than half as often as there were messages"
				       : "now and then");
}

int main(int argc, char **argv)
{
	natsConnection *connection;
	natsSubscription *subscription;
	if (argc < 2 || natsConnection_ConnectTo(&connection, argv[1]) != NATS_OK ||
	    natsConnection_SubscribeSync(&subscription, connection, "a") != NATS_OK)
		return 2;
	receive(connection, subscription);
	show("received, destroyed one at a time", destroy(500));
	receive(connection, subscription);
	show("received, destroyed at once", destroy(0));
	for (int i = 0; i < MESSAGES; i++) {
		if (natsMsg_Create(&messages[i], "a", NULL, "payload", 7) != NATS_OK)
			return 2;
	}
	show("made here, destroyed one at a time", destroy(500));
	natsSubscription_Destroy(subscription);
	natsConnection_Destroy(connection);
	return 0;
}
C
cc -o free free.c -lnats 2>/dev/null || { echo "libnats-dev is needed"; exit 2; }
port=$((20000 + $$ % 10000))
nats-server -a 127.0.0.1 -p "$port" >server.log 2>&1 &
server=$!
sleep 1
./free "nats://127.0.0.1:$port" | tee out || exit 2
cat >wanted <<'WANTED'
received, destroyed one at a time: other threads slept at least once a message
received, destroyed at once: other threads slept less than half as often as there were messages
made here, destroyed one at a time: other threads slept at least once a message
WANTED
cmp -s wanted out
