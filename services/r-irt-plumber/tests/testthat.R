library(testthat)
library(irtplumber)

test_check("irtplumber")
