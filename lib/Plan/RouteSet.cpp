//===- RouteSet.cpp - the routes of a module ------------------------------===//

#include "rshard/Plan/RouteSet.h"
#include "rshard/Plan/PlanSymbols.h"

using namespace mlir;
using namespace rshard;

constexpr RouteKind perClass[] = {RouteKind::Query, RouteKind::Key,
                                  RouteKind::Partial};

RouteOp &RouteSet::at(RouteKind kind, int64_t number) {
  switch (kind) {
  case RouteKind::Enter:
    return enter;
  case RouteKind::Leave:
    return leave;
  case RouteKind::Query:
    return classes[number].query;
  case RouteKind::Key:
    return classes[number].key;
  case RouteKind::Partial:
    return classes[number].partial;
  }
  llvm_unreachable("every kind of route has a place");
}

std::vector<tokenset::Mask> RouteSet::getMasks() const {
  std::vector<tokenset::Mask> masks;
  for (const Class &one : classes)
    masks.push_back(getMask(*RouteOp(one.query).getMask()));
  return masks;
}

LogicalResult RouteSet::check(ModuleOp module) {
  for (RouteKind kind : {RouteKind::Enter, RouteKind::Leave})
    if (!at(kind, 0))
      return module.emitError("holds no route of kind ")
             << stringifyRouteKind(kind);
  for (int64_t number = 0; number < getNumClasses(); ++number)
    for (RouteKind kind : perClass) {
      RouteOp route = at(kind, number), query = getQuery(number);
      if (!route)
        return module.emitError("holds no route of kind ")
               << stringifyRouteKind(kind) << " and class " << number << " vs "
               << getNumClasses() << " classes";
      if (route.getMask() != query.getMask()) {
        InFlightDiagnostic diag = route.emitOpError("of class ")
                                  << number << " has mask " << *route.getMask()
                                  << " vs " << *query.getMask()
                                  << " of its queries";
        diag.attachNote(query.getLoc()) << "the route of the queries";
        return diag;
      }
    }
  return success();
}

FailureOr<RouteSet> RouteSet::create(ModuleOp module) {
  RouteSet set;
  // One route of every kind to a class: a larger number than there are routes
  // leaves one out.
  int64_t routes = llvm::range_size(module.getOps<RouteOp>());
  for (RouteOp route : module.getOps<RouteOp>()) {
    int64_t number = route.getLayerClass().value_or(0);
    if (number >= routes)
      return route.emitOpError("is of class ")
             << number << " vs less than the " << routes << " routes";
    if (route.getLayerClass() && number >= set.getNumClasses())
      set.classes.resize(number + 1);
    RouteOp &place = set.at(route.getKind(), number);
    if (place) {
      InFlightDiagnostic diag = route.emitOpError("is the second of kind ")
                                << stringifyRouteKind(route.getKind());
      if (route.getLayerClass())
        diag << " and class " << number;
      diag << " vs 1";
      diag.attachNote(place.getLoc()) << "the first one";
      return diag;
    }
    place = route;
  }
  if (failed(set.check(module)))
    return failure();
  return set;
}
