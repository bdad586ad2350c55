document.title = "QuickBid";
