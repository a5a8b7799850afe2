/* Every way in which something can go wrong. One table gives each code its name, its sentence and, for faults of the
 * protocol, the rule of the standard that was broken. Only the edge maps codes to MQTT reason codes or HTTP statuses
 * (mqtt/field/reason.h). Counters are kept per code. Any thread; never allocates. */
#ifndef BASE_ERROR_H
#define BASE_ERROR_H

#define ERROR_TABLE(X)                                                                                                 \
	/* code, rule, sentence */                                                                                     \
	X(OK, "", "no error")                                                                                          \
	X(MORE, "", "more bytes are needed")                                                                           \
	/* the machine */                                                                                              \
	X(NO_MEMORY, "", "out of memory")                                                                              \
	X(LIMIT, "", "a configured limit was reached")                                                                 \
	X(SYSTEM, "", "a system call failed")                                                                          \
	X(NO_DESCRIPTORS, "", "the descriptor table is full")                                                          \
	X(TIMEOUT, "", "it did not come about in time")                                                                \
	X(NOT_FOUND, "", "there is no such thing")                                                                     \
	/* framing */                                                                                                  \
	X(LENGTH_MALFORMED, "MQTT-1.5.5-1", "variable byte integer is longer than four bytes or not minimal")          \
	X(PACKET_TOO_LARGE, "MQTT-3.2.2-15", "packet is larger than the maximum packet size")                          \
	X(PACKET_TYPE, "section 2.1.2", "packet type is reserved or not allowed from this side")                       \
	X(FLAGS_RESERVED, "MQTT-2.1.3-1", "reserved flag bits of the fixed header are wrong")                          \
	X(PACKET_SHORT, "section 2.1.4", "packet ends before a field that it must have")                               \
	X(PACKET_TRAILING, "section 2.1.4", "packet goes on after its last field")                                     \
	/* data types */                                                                                               \
	X(STRING_UTF8, "MQTT-1.5.4-1", "string is not well-formed UTF-8")                                              \
	X(STRING_NUL, "MQTT-1.5.4-2", "string contains the null character")                                            \
	X(PROPERTY_UNKNOWN, "section 2.2.2.2", "property identifier is not known")                                     \
	X(PROPERTY_MISPLACED, "section 2.2.2.2", "property is not allowed in this packet")                             \
	X(PROPERTY_DUPLICATE, "section 2.2.2.2", "property appears more than once")                                    \
	X(PROPERTY_VALUE, "section 2.2.2.2", "property has a value outside its range")                                 \
	X(PROPERTY_LENGTH, "section 2.2.2.1", "property length does not match the properties")                         \
	/* CONNECT */                                                                                                  \
	X(PROTOCOL_NAME, "MQTT-3.1.2-1", "protocol name is not MQTT")                                                  \
	X(PROTOCOL_LEVEL, "MQTT-3.1.2-2", "protocol level is not supported")                                           \
	X(CONNECT_RESERVED, "MQTT-3.1.2-3", "reserved connect flag is set")                                            \
	X(WILL_QOS, "MQTT-3.1.2-11, -12", "will QoS is 3, or is set without a will")                                   \
	X(WILL_RETAIN, "MQTT-3.1.2-13", "will retain is set without a will")                                           \
	X(WILL_TOPIC, "MQTT-4.7.0-1", "will topic is not a valid topic name")                                          \
	X(PASSWORD_ALONE, "MQTT-3.1.2-22 of 3.1.1", "password without a user name")                                    \
	X(CLIENT_ID_EMPTY, "MQTT-3.1.3-8 of 3.1.1", "empty client id with clean session 0")                            \
	X(CLIENT_ID_USER, "", "client id is not one that this user may have (--client-id-pattern)")                    \
	X(CLIENT_ID_LONG, "MQTT-3.1.3-5", "client id is longer than the limit")                                        \
	X(AUTH_DATA_ALONE, "section 3.1.2.11.10", "authentication data without an authentication method")              \
	X(AUTH_METHOD, "MQTT-4.12.0-1", "authentication method is not supported")                                      \
	X(NOT_CONNECT, "MQTT-3.1.0-1", "first packet is not CONNECT")                                                  \
	X(CONNECT_TWICE, "MQTT-3.1.0-2", "second CONNECT on one connection")                                           \
	X(CONNECT_TOO_LARGE, "", "CONNECT is larger than --connect-bytes-max")                                         \
	X(CONNECT_WITHHELD, "", "empty frames or records came again and again, and no CONNECT")                        \
	X(TLS_UNEXPECTED, "", "TLS came where none is spoken")                                                         \
	X(HTTP_UNEXPECTED, "", "HTTP came where MQTT is spoken")                                                       \
	X(PROXY_UNEXPECTED, "", "a PROXY header came from an address that is no configured proxy")                     \
	/* before CONNECT: PROXY protocol, TLS, WebSocket */                                                           \
	X(PROXY_MISSING, "", "connection from a proxy does not begin with a PROXY header")                             \
	X(PROXY_MALFORMED, "", "PROXY header is malformed")                                                            \
	X(PROXY_CHECKSUM, "", "checksum of the PROXY header is wrong")                                                 \
	X(TLS_PLAIN_MQTT, "", "plain MQTT came where TLS is spoken")                                                   \
	X(TLS_PLAIN_HTTP, "", "plain HTTP came where TLS is spoken")                                                   \
	X(TLS_NOT_TLS, "", "what came is not TLS")                                                                     \
	X(TLS_VERSION, "RFC 8446, 4.2.1", "client speaks no version of TLS that is allowed here")                      \
	X(TLS_CIPHER, "RFC 8446, 4.1.1", "client and server have no cipher in common")                                 \
	X(TLS_ALPN, "RFC 7301, 3.2", "client wants another protocol inside TLS")                                       \
	X(TLS_HANDSHAKE, "RFC 8446, 4", "TLS handshake failed")                                                        \
	X(TLS_HANDSHAKE_BYTES, "", "TLS handshake sends more than one may: its certificates are too large")            \
	X(TLS_HANDSHAKE_TIMEOUT, "", "TLS handshake did not end in time")                                              \
	X(TLS_HANDSHAKE_QUEUE, "", "more TLS handshakes wait than may: come back later")                               \
	X(TLS_CERTIFICATE_MISSING, "", "client shows no certificate, and one is required")                             \
	X(TLS_CERTIFICATE_UNTRUSTED, "", "client's certificate is not signed by one that is trusted")                  \
	X(TLS_CERTIFICATE_EXPIRED, "", "client's certificate has expired")                                             \
	X(TLS_CERTIFICATE_NOT_YET, "", "client's certificate is not valid yet")                                        \
	X(TLS_CERTIFICATE_REVOKED, "", "client's certificate was revoked")                                             \
	X(TLS_CERTIFICATE_NAME, "", "client's certificate has no name of the kind that is wanted")                     \
	X(TLS_CERTIFICATE_REFUSED, "", "peer does not accept the certificate that it was shown")                       \
	X(TLS_ALERT, "RFC 8446, 6.2", "peer ended TLS with a fatal alert")                                             \
	X(TLS_RECORD_LENGTH, "RFC 8446, 5.2", "TLS record is too long, or too short for its cipher")                   \
	X(TLS_RECORD_TYPE, "RFC 8446, 5.1", "TLS record has a type or version that it may not have")                   \
	X(TLS_RECORD_TAG, "RFC 8446, 5.2", "TLS record does not pass its cipher's check")                              \
	X(TLS_MESSAGE, "RFC 8446, 4.6", "TLS message that may not come after the handshake, such as a renegotiation")  \
	X(WS_PLAIN_MQTT, "", "plain MQTT came where WebSocket is spoken")                                              \
	X(WS_REQUEST, "RFC 6455, 4.2.1", "request for a WebSocket is malformed")                                       \
	X(WS_NO_UPGRADE, "RFC 6455, 4.2.1", "HTTP request does not ask for a WebSocket")                               \
	X(WS_PATH, "", "WebSocket's path is not served")                                                               \
	X(WS_ORIGIN, "RFC 6455, 10.2", "WebSocket comes from a page of an origin that is not allowed")                 \
	X(WS_VERSION, "RFC 6455, 4.4", "WebSocket's version is not 13")                                                \
	X(WS_PROTOCOL, "MQTT-6.0.0-3", "WebSocket offers no subprotocol mqtt")                                         \
	X(WS_RESERVED, "RFC 6455, 5.2", "WebSocket frame has reserved bits or a reserved opcode")                      \
	X(WS_MASK, "RFC 6455, 5.1", "WebSocket frame of a client is not masked, or that of a server is")               \
	X(WS_CONTROL, "RFC 6455, 5.5", "WebSocket control frame is longer than 125 bytes, or fragmented")              \
	X(WS_LENGTH, "RFC 6455, 5.2", "WebSocket frame's length is not minimal, or has its highest bit set")           \
	X(WS_CONTINUATION, "RFC 6455, 5.4", "WebSocket continuation without a start, or a start in the middle")        \
	X(WS_CLOSE, "RFC 6455, 7.4", "WebSocket Close frame has one byte alone, or a code that may not be sent")       \
	X(WS_TEXT, "MQTT-6.0.0-1", "WebSocket text frame, where MQTT comes in binary ones")                            \
	X(CERTIFICATE_CLIENT_ID, "", "client id is not the name in the client's certificate")                          \
	/* PUBLISH and after */                                                                                        \
	X(PUBLISH_QOS, "MQTT-3.3.1-4", "QoS is 3")                                                                     \
	X(PUBLISH_DUP, "MQTT-3.3.1-2", "DUP is set on a QoS 0 message")                                                \
	X(TOPIC_EMPTY, "MQTT-4.7.3-1", "topic is empty")                                                               \
	X(TOPIC_LONG, "MQTT-4.7.3-3", "topic is longer than 65535 bytes")                                              \
	X(TOPIC_WILDCARD, "MQTT-3.3.2-2", "topic name contains a wildcard")                                            \
	X(TOPIC_LEVELS, "", "topic has more levels than the limit")                                                    \
	X(TOPIC_ALIAS, "MQTT-3.3.2-8, -9", "topic alias is 0 or above the maximum")                                    \
	X(TOPIC_ALIAS_UNKNOWN, "section 3.3.2.3.4", "topic alias was never set and the topic is empty")                \
	X(TOPIC_RESERVED, "section 4.7.2", "topics below $SYS are the server's own")                                   \
	X(PAYLOAD_FORMAT, "section 3.3.2.3.2", "payload is said to be UTF-8 and is not")                               \
	X(RECEIVE_MAX, "MQTT-3.3.4-9", "more messages under way than the server's Receive Maximum")                    \
	X(RESPONSE_TOPIC, "MQTT-3.3.2-14", "response topic is not a valid topic name")                                 \
	X(SUBSCRIPTION_ID_SENT, "MQTT-3.3.4-6", "PUBLISH from a client carries a subscription identifier")             \
	X(PACKET_ID_ZERO, "MQTT-2.2.1-3", "packet identifier is 0")                                                    \
	X(PACKET_ID_UNKNOWN, "MQTT-2.2.1-5", "acknowledges a packet identifier that is not in use")                    \
	X(ACK_UNEXPECTED, "section 4.3", "acknowledges a message with another packet than is due")                     \
	X(FILTER_MALFORMED, "MQTT-4.7.1-1, -2", "wildcard is not alone in its level, or # is not last")                \
	X(FILTER_SHARED, "MQTT-4.8.2-1, -2", "shared subscription is malformed or not available")                      \
	X(SUBSCRIBE_EMPTY, "MQTT-3.8.3-2", "SUBSCRIBE without a topic filter")                                         \
	X(UNSUBSCRIBE_EMPTY, "MQTT-3.10.3-2", "UNSUBSCRIBE without a topic filter")                                    \
	X(SUBSCRIBE_OPTIONS, "MQTT-3.8.3-5", "reserved bits of the subscription options are set")                      \
	X(SUBSCRIBE_QOS, "section 3.8.3.1", "QoS of a subscription is 3")                                              \
	X(SUBSCRIBE_NO_LOCAL, "MQTT-3.8.3-4", "no local is set on a shared subscription")                              \
	X(SUBSCRIBE_RETAIN_HANDLING, "section 3.8.3.1", "retain handling of a subscription is 3")                      \
	X(REASON_CODE, "section 2.4", "reason code is not one of this packet's")                                       \
	X(SESSION_EXPIRY_RAISED, "section 3.14.2.2.2", "session expiry raised from 0 at DISCONNECT")                   \
	X(SESSION_EXPIRY_SENT, "MQTT-3.14.2-2", "session expiry in a DISCONNECT of the server")                        \
	X(AUTH_UNEXPECTED, "MQTT-4.12.0-7", "AUTH without an authentication method in CONNECT")                        \
	X(AUTH_METHOD_MISSING, "section 3.15.2.2.2", "AUTH names no authentication method")                            \
	X(CONNACK_FLAGS, "MQTT-3.2.2-1", "reserved connect acknowledge flag is set")                                   \
	X(CONNACK_SESSION, "MQTT-3.2.2-6", "session present is set in a refusing CONNACK")                             \
	/* signing in */                                                                                               \
	X(TOKEN_MALFORMED, "", "token is not a JSON Web Token in compact form")                                        \
	X(TOKEN_TOO_LARGE, "", "token is longer than the limit")                                                       \
	X(TOKEN_CRITICAL, "", "token names extensions that have to be understood, and there are none here")            \
	X(TOKEN_ALGORITHM, "", "token's algorithm is not supported, or is not that of its key")                        \
	X(TOKEN_KEY_UNKNOWN, "", "no key is known that the token may be signed with")                                  \
	X(TOKEN_SIGNATURE, "", "token's signature is wrong")                                                           \
	X(TOKEN_CLAIM, "", "a claim of the token is missing, or has a value that it may not have")                     \
	X(TOKEN_EXPIRED, "", "token has expired")                                                                      \
	X(TOKEN_NOT_YET, "", "token is not valid yet")                                                                 \
	X(TOKEN_ISSUER, "", "token is from another issuer")                                                            \
	X(TOKEN_AUDIENCE, "", "token is meant for another audience")                                                   \
	X(TOKEN_CLIENT_ID, "", "token is for another client id")                                                       \
	X(TOKEN_USER, "", "token is of another user than the client signed in as")                                     \
	X(TOKEN_REVOKED, "", "token was revoked")                                                                      \
	X(USER_REVOKED, "", "user was revoked")                                                                        \
	X(CLIENT_REVOKED, "", "client id was revoked")                                                                 \
	X(PASSWORD_WRONG, "", "user is not known, or the password is wrong")                                           \
	X(PASSWORD_PENDING, "", "password is being checked")                                                           \
	X(PASSWORD_QUEUE, "", "more passwords wait to be checked than may: come back later")                           \
	X(CREDENTIALS_MISSING, "", "neither a token nor a user name with a password, and one is required")             \
	X(REVOCATIONS_AWAY, "", "what was revoked cannot be known now: come back later")                               \
	/* permissions */                                                                                              \
	X(SIGN_IN_EXPIRED, "", "token that the client signed in with has expired")                                     \
	X(PUBLISH_DENIED, "", "client may not publish to this topic")                                                  \
	X(SUBSCRIBE_DENIED, "", "client may not subscribe to this topic filter")                                       \
	/* ends of a connection that are nobody's fault, or the gateway's own decision */                              \
	X(CLOSED_BY_CLIENT, "", "client sent DISCONNECT")                                                              \
	X(CLOSED_WITH_WILL, "", "client sent DISCONNECT with will")                                                    \
	X(CONNECTION_LOST, "", "connection ended without DISCONNECT")                                                  \
	X(KEEPALIVE_TIMEOUT, "MQTT-3.1.2-22", "nothing was received for one and a half times the keepalive")           \
	X(PEER_DEAD, "", "peer answers neither data nor probes of TCP")                                                \
	X(CONNECT_TIMEOUT, "section 3.1.4", "no whole CONNECT came in time")                                           \
	X(TAKEN_OVER, "MQTT-3.1.4-3", "another connection signed in with the same client id")                          \
	X(STUCK_READER, "", "client did not read what was sent to it for too long")                                    \
	X(SERVER_STOPPING, "", "server is shutting down")                                                              \
	X(DRAINED, "", "server is being drained: come back later")                                                     \
	X(USE_ANOTHER_SERVER, "", "server is being drained: another one takes its clients")                            \
	X(SERVER_MOVED, "", "server has moved")                                                                        \
	X(OVERLOADED, "", "server has more to do than it can: come back later")                                        \
	X(ADMINISTRATIVE, "", "an administrator ended it")                                                             \
	X(SERVER_FULL, "", "server holds as many connections as it may")                                               \
	X(HANDSHAKE_BYTES, "", "CONNECTs that came in part hold as many bytes as they may: come back later")           \
	X(ADDRESS_DENIED, "", "connections from this address are not wanted")                                          \
	X(ADDRESS_CONNECTIONS, "", "address has as many connections as it may")                                        \
	X(ADDRESS_HANDSHAKES, "", "address has as many connections that have not signed in as it may")                 \
	X(ADDRESS_RATE, "", "address makes new connections faster than it may")                                        \
	X(STORE_FULL, "", "nothing more can be kept now: the store has no room, or its device fails")                  \
	X(MESSAGE_RATE, "", "client publishes faster than it may")                                                     \
	X(NOT_AUTHORIZED, "", "anonymous clients are not let in on this listener")                                     \
	X(CLIENT_ID_RESERVED, "MQTT-3.1.3-8", "client ids that begin with $roost/ are the server's own")               \
	/* somebody outside is asked about a client; at the end, so that the others keep their numbers and programs    \
	 * their clients */                                                                                            \
	X(AUTHORITY_PENDING, "", "the server that decides on sign-ins is being asked")                                 \
	X(AUTHORITY_DENIED, "", "the server that decides on sign-ins does not let the client in")                      \
	X(AUTHORITY_AWAY, "", "the server that decides on sign-ins cannot be asked now: come back later")              \
	X(AUTHORITY_QUEUE, "", "more clients wait for the server that decides on sign-ins than may: come back later")  \
	X(USER_DISABLED, "", "user is disabled")                                                                       \
	X(USER_EXPIRED, "", "user's time is over")                                                                     \
	X(NODE_SESSION, "", "a session that came from another node is not understood: nodes of versions that differ?")

enum error {
#define X(code, rule, sentence) ERROR_##code,
	ERROR_TABLE(X)
#undef X
		ERROR_COUNT
};

/* "LENGTH_MALFORMED"; static storage. */
const char *error_name(enum error error);
/* "packet is larger than ..."; static storage. */
const char *error_sentence(enum error error);
/* The number of the statement in version 5 of the standard, "MQTT-3.1.2-3"; where the statement has no number, its
 * section, "section 2.1.4"; where only 3.1.1 makes it, "MQTT-3.1.3-8 of 3.1.1"; below MQTT, "RFC 6455, 5.2"; "" where
 * no standard speaks. Static storage. */
const char *error_rule(enum error error);

#endif
