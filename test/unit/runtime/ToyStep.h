/* The frame of the toy program: names in index order, for the program (C) and
 * for the manifest that the tests write (C++). */
#ifndef RSHARD_TEST_UNIT_RUNTIME_TOYSTEP_H
#define RSHARD_TEST_UNIT_RUNTIME_TOYSTEP_H

enum { toyHidden = 2, toyVocabulary = 5, toyClasses = 2 };

/* name, width, row class */
#define TOY_BUFFERS(X)                                                         \
  X(enter, "pool.enter", toyHidden, PoolEnter)                                 \
  X(enterSend, "enter.send", toyHidden, SendEnter)                             \
  X(compX, "comp.x", toyHidden, Comp)                                          \
  X(query, "pool.query", toyHidden, PoolQuery)                                 \
  X(querySend, "query.send", toyHidden, SendQuery)                             \
  X(key, "pool.key", toyHidden, PoolKey)                                       \
  X(keySend, "key.send", toyHidden, SendKey)                                   \
  X(value, "pool.value", toyHidden, PoolKey)                                   \
  X(valueSend, "value.send", toyHidden, SendKey)                               \
  X(partialO, "pool.partial.o", toyHidden, PoolPartial)                        \
  X(partialOSend, "partial.o.send", toyHidden, SendPartial)                    \
  X(partialLse, "pool.partial.lse", 1, PoolPartial)                            \
  X(partialLseSend, "partial.lse.send", 1, SendPartial)                        \
  X(leave, "pool.leave", toyHidden, PoolLeave)                                 \
  X(leaveSend, "leave.send", toyHidden, SendLeave)                             \
  X(clientOut, "client.out", toyHidden, Client)                                \
  X(result, "result", toyVocabulary, Wanted)                                   \
  X(cacheKey, "cache.key", toyHidden, Cache)                                   \
  X(cacheValue, "cache.value", toyHidden, Cache)                               \
  X(clientCache, "client.cache", 1, ClientCache)                               \
  X(rope, "rope", 2, Positions)                                                \
  X(workspace, "workspace", 1, Workspace)

#define TOY_TABLES(X)                                                          \
  X(clientToken, "client.token")                                               \
  X(clientPosition, "client.position")                                         \
  X(clientIdentity, "client.identity")                                         \
  X(clientCached, "client.cached")                                             \
  X(wantedRow, "wanted.row")                                                   \
  X(compBegin, "comp.begin")                                                   \
  X(compPosition, "comp.position")                                             \
  X(enterPack, "enter.pack")                                                   \
  X(enterTransfer, "enter.transfer")                                           \
  X(enterSource, "enter.source")                                               \
  X(leavePack, "leave.pack")                                                   \
  X(leaveTransfer, "leave.transfer")                                           \
  X(leaveSource, "leave.source")                                               \
  X(leavePosition, "leave.position")

/* Once per mask class; the digit goes before the dot. */
#define TOY_CLASS_TABLES(X)                                                    \
  X(upQueryPack, "up", ".query_pack")                                          \
  X(upKeyPack, "up", ".key_pack")                                              \
  X(upTransfer, "up", ".transfer")                                             \
  X(queryBegin, "query", ".begin")                                             \
  X(querySource, "query", ".source")                                           \
  X(queryPosition, "query", ".position")                                       \
  X(appendBegin, "append", ".begin")                                           \
  X(appendSource, "append", ".source")                                         \
  X(appendRow, "append", ".row")                                               \
  X(cacheLength, "cache", ".length")                                           \
  X(cachePosition, "cache", ".position")                                       \
  X(cellRow, "cell", ".row")                                                   \
  X(cellColumn, "cell", ".column")                                             \
  X(cellFirst, "cell", ".first")                                               \
  X(reachBegin, "reach", ".begin")                                             \
  X(reachFirst, "reach", ".first")                                             \
  X(reachLast, "reach", ".last")                                               \
  X(downPack, "down", ".pack")                                                 \
  X(downTransfer, "down", ".transfer")                                         \
  X(mergeBegin, "merge", ".begin")                                             \
  X(mergeSource, "merge", ".source")

/* Weights: 0 the embedding, 1 what the program must know about the model
 * (first sharded layer, sharded layers, mask class of every layer), 2 + l the
 * factor of layer l. */
enum { toyEmbedding = 0, toyModel = 1, toyFactor = 2 };

#endif
