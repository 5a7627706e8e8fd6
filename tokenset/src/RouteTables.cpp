#include "rshard/tokenset/Routes.h"

#include <charconv>

namespace rshard::tokenset {
namespace {

struct CommonTable {
  std::string_view name;
  IndexList RouteTables::*list;
};
constexpr CommonTable kBefore[] = {
    {"client.position", &RouteTables::clientPosition},
    {"comp.begin", &RouteTables::compBegin},
    {"comp.position", &RouteTables::compPosition},
    {"enter.pack", &RouteTables::enterPack},
    {"enter.transfer", &RouteTables::enterTransfer},
    {"enter.source", &RouteTables::enterSource},
};
constexpr CommonTable kAfter[] = {
    {"leave.pack", &RouteTables::leavePack},
    {"leave.transfer", &RouteTables::leaveTransfer},
    {"leave.source", &RouteTables::leaveSource},
    {"leave.position", &RouteTables::leavePosition},
};

struct MaskTable {
  std::string_view group; // the mask class stands between group and field
  std::string_view field;
  IndexList MaskTables::*list;
};
constexpr MaskTable kPerMask[] = {
    {"up", "query_pack", &MaskTables::upQueryPack},
    {"up", "key_pack", &MaskTables::upKeyPack},
    {"up", "transfer", &MaskTables::upTransfer},
    {"query", "begin", &MaskTables::queryBegin},
    {"query", "source", &MaskTables::querySource},
    {"query", "position", &MaskTables::queryPosition},
    {"append", "begin", &MaskTables::appendBegin},
    {"append", "source", &MaskTables::appendSource},
    {"append", "row", &MaskTables::appendRow},
    {"cache", "length", &MaskTables::cacheLength},
    {"cache", "position", &MaskTables::cachePosition},
    {"cell", "row", &MaskTables::cellRow},
    {"cell", "column", &MaskTables::cellColumn},
    {"cell", "first", &MaskTables::cellFirst},
    {"down", "pack", &MaskTables::downPack},
    {"down", "transfer", &MaskTables::downTransfer},
    {"merge", "begin", &MaskTables::mergeBegin},
    {"merge", "source", &MaskTables::mergeSource},
    {"reach", "begin", &MaskTables::reachBegin},
    {"reach", "first", &MaskTables::reachFirst},
    {"reach", "last", &MaskTables::reachLast},
    {"client.reach", "first", &MaskTables::clientReachFirst},
    {"client.reach", "last", &MaskTables::clientReachLast},
};

} // namespace

const IndexList *RouteTables::find(std::string_view name) const {
  for (const CommonTable &table : kBefore)
    if (table.name == name)
      return &(this->*table.list);
  for (const CommonTable &table : kAfter)
    if (table.name == name)
      return &(this->*table.list);
  for (const MaskTable &table : kPerMask) {
    if (!name.starts_with(table.group))
      continue;
    const char *end = name.data() + name.size();
    size_t mask = 0;
    auto [stop, status] =
        std::from_chars(name.data() + table.group.size(), end, mask);
    if (status == std::errc() && stop != end && *stop == '.' &&
        std::string_view(stop + 1, end) == table.field && mask < masks.size())
      return &(masks[mask].*table.list);
  }
  return nullptr;
}

std::vector<std::string> RouteTables::names(size_t maskClasses) {
  std::vector<std::string> list;
  for (const CommonTable &table : kBefore)
    list.emplace_back(table.name);
  for (size_t mask = 0; mask < maskClasses; ++mask)
    for (const MaskTable &table : kPerMask)
      list.push_back(std::string(table.group) + std::to_string(mask) + "." +
                     std::string(table.field));
  for (const CommonTable &table : kAfter)
    list.emplace_back(table.name);
  return list;
}

} // namespace rshard::tokenset
