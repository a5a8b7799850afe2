/* Messages of the service that carries messages of MQTT (nodes/publish/publishing.h). For the files of this folder. */
#ifndef NODES_PUBLISHING_KINDS_H
#define NODES_PUBLISHING_KINDS_H

#include "cluster/wire/message.h"

enum publishing_kind {
	PUBLISHING_MESSAGE = MESSAGE_PUBLISHING, /* cluster/publish/publish_message.h */
	PUBLISHING_SAFE,                         /* number, 64 bits: all messages up to this one are safe */
	PUBLISHING_NOTE,                         /* nodes/publish/far_waits.h: a publisher has to wait for a place */
	PUBLISHING_PLACES,                       /* the same: which places are congested */
};

#endif
