"""Words beside a number that say what it is, or that it is no personal one."""

from __future__ import annotations

import re

OTHER_NUMBER = re.compile(
    r"(?:单号|编号|流水号?|序号|订单号?|订单|工单|案号|案件号|警情号|受案号|文号|卷号|票号|运单|快递|条码|批号|批次|货号|型号|设备号|资产号|"
    r"合同号?|发票号?码?|序列号|版本|单据|回执号?|事件号|任务号|受理号|报警号|接警单|登记号|凭证号?|交易号|SN|No|NO|ID|id)[^\w，。；\n]{0,4}(?:为|是)?[^\w，。；\n]{0,2}$|第$"
)
"""At the end of what stands before a number: it counts things, not people."""
AMOUNT = re.compile(r"^\s?(?:元|万元|公里|千米|米|吨|辆|次|台|秒|分钟|平方|立方|字节|%|％|人次|km|KB|MB)")
"""At the beginning of what stands behind a number."""
