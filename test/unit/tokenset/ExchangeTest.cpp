// The list of exchanges against the tables of routes.

#include "rshard/tokenset/Exchange.h"
#include "rshard/tokenset/Routes.h"
#include <gtest/gtest.h>
#include <set>

using namespace rshard::tokenset;

TEST(Exchange, namesFollowNumbers) {
  for (size_t classes : {1, 2, 3}) {
    std::vector<Exchange> list = listExchanges(classes);
    ASSERT_EQ(list.size(), 2 * classes + 2);
    EXPECT_EQ(list[enterExchange()].name, "enter");
    EXPECT_EQ(list[leaveExchange(classes)].name, "leave");
    for (size_t c = 0; c != classes; ++c) {
      EXPECT_EQ(list[upExchange(c)].name, "up" + std::to_string(c));
      EXPECT_EQ(list[downExchange(c)].name, "down" + std::to_string(c));
    }
  }
}

TEST(Exchange, tablesAreThoseOfRoutes) {
  for (size_t classes : {1, 2}) {
    std::vector<std::string> names = RouteTables::names(classes);
    std::set<std::string> tables(names.begin(), names.end());
    for (const Exchange &exchange : listExchanges(classes)) {
      EXPECT_TRUE(tables.count(exchange.transfer)) << exchange.transfer;
      for (const ExchangeTensor &tensor : exchange.tensors) {
        EXPECT_TRUE(tables.count(tensor.pack)) << tensor.pack;
        EXPECT_TRUE(tables.count(tensor.positions)) << tensor.positions;
      }
    }
  }
}
