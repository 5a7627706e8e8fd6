#include "rshard/tokenset/Exchange.h"

namespace rshard::tokenset {

std::vector<Exchange> listExchanges(size_t maskClasses) {
  std::vector<Exchange> list;
  auto add = [&](std::string name, std::vector<ExchangeTensor> tensors) {
    list.push_back({name, name + ".transfer", std::move(tensors)});
  };
  add("enter",
      {{"enter", RowContent::Enter, "enter", "enter.pack", "client.position"}});
  for (size_t c = 0; c != maskClasses; ++c) {
    std::string number = std::to_string(c), up = "up" + number,
                down = "down" + number,
                queryPosition = "query" + number + ".position";
    add(up,
        {{"query", RowContent::Query, "query", up + ".query_pack",
          "comp.position"},
         {"key", RowContent::Key, "key", up + ".key_pack", "comp.position"},
         {"value", RowContent::Key, "key", up + ".key_pack", "comp.position"}});
    add(down, {{"partial.o", RowContent::Output, "partial", down + ".pack",
                queryPosition},
               {"partial.lse", RowContent::Lse, "partial", down + ".pack",
                queryPosition}});
  }
  add("leave",
      {{"leave", RowContent::Leave, "leave", "leave.pack", "comp.position"}});
  return list;
}

} // namespace rshard::tokenset
