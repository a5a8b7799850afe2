/* A model as text, one line an object, sorted: two models are equal if their texts are. */
#ifndef COMMIT_MODEL_TEXT_H
#define COMMIT_MODEL_TEXT_H

#include "store/model/model.h"

/* The body that a message has: a number. */
typedef uint32_t (*model_text_body)(void *context, const struct model_message *message);
/* malloc()ed. numbered: also the identifiers that flows gave last. */
char *model_text(const struct model *model, bool numbered, model_text_body body, void *context);

#endif
