"""The jars that `--engine spark_nlp` needs, and no more: five files, 151 MB.

Spark NLP 5.5.3 depends on 95 artifacts. Its BertForTokenClassification works with these five (tried
on Spark 3.5.9 by leaving out one after the other): it never loads the code for clouds, office files
and other runtimes. The annotator's own code names TensorFlow's plain Java classes and one of
Amazon's, so the JVM asks for these when it verifies that code.
"""

from conf.lanes import Jar

SPARK_LINE = "3.5"  # the only line on which we have run Spark NLP
SPARK_NLP_JARS = (
    Jar(
        "com.johnsnowlabs.nlp:spark-nlp_2.12:5.5.3",
        "f601b0b434ef80d6596bf4a95bfb1b3ba2c1893f40734d6f5af302d1332f584a",
    ),
    Jar(
        "com.microsoft.onnxruntime:onnxruntime:1.19.2",
        "ddab9113a453c0200ac16caf308b76bc8e84653ddc11969983b783dff34397b2",
    ),
    Jar(
        "org.tensorflow:ndarray:0.4.0",
        "f7673f06851664f9c215f2c892d7d6f71e6b23fe2c1af9c72a59a661e3951a04",
    ),
    Jar(
        "org.tensorflow:tensorflow-core-api:0.4.0",
        "ab65446c7de39e614376d468e7b145ac28408eb82c074d5eed0abd45a8fe86f9",
    ),
    Jar(
        "com.amazonaws:aws-java-sdk-core:1.12.500",
        "969562917293a625455a6e86b3b244e2c95a2c6de3c4f77d3e21ecfeb700f817",
    ),
)
# Dependencies of these jars that are not fetched: whole groups, or single artifacts where a jar
# above is of the same group.
LEFT_OUT = (
    "com.johnsnowlabs.nlp:tensorflow-cpu_2.12",
    "com.johnsnowlabs.nlp:jsl-llamacpp-cpu_2.12",
    "com.johnsnowlabs.nlp:jsl-openvino-cpu_2.12",
    "com.amazonaws:aws-java-sdk-s3",
    "com.fasterxml.*",
    "com.github.*",
    "com.google.*",
    "com.navigamez",
    "com.typesafe",
    "commons-*",
    "jakarta.*",
    "joda-time",
    "org.apache.*",
    "org.bytedeco",
    "org.eclipse.*",
    "org.jsoup",
    "org.rocksdb",
    "software.amazon.*",
)
