"""The words of the invented discharge summaries; all of them were invented here.

Data only. In a sentence, `{Drug}` stands for a drug of the list and becomes a mention with that
label. `{Reason.2}` belongs to the second drug. A slot in lower case is filled and not annotated.
The same problems occur as reasons, as side effects and as neither, so that only the context tells
which they are.
"""

from __future__ import annotations


def _lines(text: str) -> tuple[str, ...]:
    return tuple(line.strip() for line in text.strip().splitlines())


def _items(text: str) -> tuple[str, ...]:
    return tuple(item.strip() for line in _lines(text) for item in line.split(" | "))


DRUGS = _items("""
    acetaminophen | albuterol | allopurinol | amiodarone | amlodipine | amoxicillin | apixaban
    ASA | aspirin | atenolol | atorvastatin | azithromycin | bactrim | bisacodyl | bumetanide
    calcium acetate | captopril | carvedilol | cefepime | ceftriaxone | cephalexin | ciprofloxacin
    citalopram | clindamycin | clonazepam | clonidine | clopidogrel | colace | colchicine
    coumadin | cyclosporine | dexamethasone | digoxin | diltiazem | docusate sodium | doxycycline
    enoxaparin | epoetin alfa | famotidine | fentanyl | ferrous sulfate | fluconazole
    fluticasone | folic acid | furosemide | gabapentin | glipizide | haldol | heparin | HCTZ
    hydralazine | hydromorphone | ibuprofen | insulin glargine | insulin lispro
    ipratropium bromide | isosorbide mononitrate | keppra | labetalol | lactulose | lasix
    levofloxacin | levothyroxine | lisinopril | lorazepam | losartan | magnesium sulfate
    meropenem | metformin | metoprolol tartrate | metronidazole | morphine | multivitamin
    mycophenolate mofetil | nifedipine | nitroglycerin | olanzapine | omeprazole | ondansetron
    oxycodone | pantoprazole | phenytoin | piperacillin-tazobactam | potassium chloride
    pravastatin | prednisone | propofol | quetiapine | ranitidine | senna | sertraline
    simvastatin | spironolactone | tacrolimus | tiotropium | torsemide | tramadol | trazodone
    valproic acid | vancomycin | verapamil | vitamin D | warfarin | zolpidem | zosyn
""")
CLASSES = _items("""
    penicillins | sulfa | statins | steroids | antibiotics | NSAIDs | pressors | narcotics
    opiates | beta blocker | blood products | antihypertensives | chemotherapy | diuretics
    insulin
""")
PROBLEMS = _items("""
    acute kidney injury | agitation | anemia | anxiety | atrial fibrillation | back pain
    bleeding | bradycardia | cellulitis | chest pain | CHF exacerbation | confusion | constipation
    COPD flare | cough | deep vein thrombosis | delirium | depression | diabetes | diarrhea
    dizziness | edema | elevated LFTs | fever | GERD | GI bleed | gout | headache | hives
    hyperglycemia | hyperkalemia | hyperlipidemia | hypertension | hypoglycemia | hypokalemia
    hypotension | hypothyroidism | insomnia | itching | lethargy | leukopenia | low blood pressure
    nausea | neuropathy | neutropenia | orthostatic hypotension | pain | pneumonia
    pulmonary embolism | rash | renal failure | respiratory depression | seizures | sepsis
    shortness of breath | supratherapeutic INR | swelling of the legs | thrombocytopenia | tremor
    urinary retention | urinary tract infection | volume overload | vomiting | weakness | wheezing
""")
FORMS = _items("""
    Tablet | Capsule | Tablet, Delayed Release (E.C.) | Tablet Sustained Release 24 hr | Solution
    Capsule, Sust. Release 24 hr | Ointment | Patch 24 hr | Suspension | Aerosol | Syrup
    Suppository | Tablet, Chewable | Drops | Cream | Powder in Packet | inhaler | tablets | tab
    gtt
""")
ROUTES = _items("""
    PO | IV | SC | by mouth | p.o. | intravenously | Subcutaneous | Transdermal | Inhalation
    Topical | PR | IM | Ophthalmic | Nasal | sublingual | inhaled | GT | PO/NG
""")
FREQUENCIES = _items("""
    DAILY (Daily) | daily | BID | TID | QHS | qd | once a day | twice daily | BID (2 times a day)
    TID (3 times a day) | Q6H (every 6 hours) as needed | Q4H (every 4 hours) | every 8 hours
    prn | QHS (once a day (at bedtime)) | q4-6h prn | every other day | Q12H (every 12 hours)
    at bedtime | with meals | three times a day as needed | x1 | weekly | QAM | QID | once
    continuous
""")
DURATIONS = _items("""
    for 7 days | 10 days | two weeks | x 14 days | a 5-day course | 6 weeks | for one month
    48 hours | 3 more days | long-term | a total of 21 days | until [**3-14**] | chronic
    overnight | 8 weeks
""")
AMOUNTS = _items("""
    One (1) | Two (2) | 1-2 | 0.5 | 1 | Ten (10) units | Three (3) | 2 puffs | Fifteen (15) ML
    30 mL | One (1) Puff | sliding scale | bolus | 2 grams | 1 gm | 80 mg bolus | 10 units
    low dose | drip
""")
UNITS = ("mg", "mg", "mg", "mcg", "mEq", "unit/mL", "%", "gram", "mg/mL", "mcg/hr")

# Sentences of the course in hospital; each mixes annotated mentions with words that are not.
COURSE = _lines("""
    He was started on {Drug} {Strength} {Route} {Frequency} for {Reason}.
    {problem}: she was continued on her home {Drug} and {Drug.2}.
    On day {day} the patient developed {ADE} after the first dose of {Drug}, which was stopped.
    There was no {problem} and no {problem}; {Drug} was held on admission.
    Given {Reason}, {Drug} was increased to {Strength} {Frequency}.
    The {ADE} was felt to be due to {Drug}, and it resolved with {Drug.2} {Dosage.2} {Route.2}.
    He received {Dosage} of {Drug} {Route} in the emergency department with good effect.
    Cultures grew nothing; {Drug} and {Drug.2} were given {Duration} for presumed {Reason}.
    Her potassium was {level} and was repleted with {coordinated}.
    Her {problem} remained stable without treatment.
    {problem} was thought to be due to dehydration, not to drugs.
    She completed {Duration} of {Drug} for {Reason} and was afebrile afterwards.
    The patient has a long history of {problem} and was admitted with {problem}.
    He took too much {Drug} at home, which led to {ADE} and {ADE}.
    INR was {level} on {Drug}; the dose was changed to {Strength} {Frequency}.
    {Drug} {Dosage} {Route} {Frequency} was given for {Reason}, then changed to {Drug.2} {Route.2}.
    Iron was {level}, glucose {day}, and calcium {level}.
    We stopped {Drug} because of {ADE} and {Drug.2} because of {ADE.2}.
    Pain was controlled with {Drug} {Strength} {Form} {Frequency}.
    The rash seen on admission faded; no new medication was needed.
    The family was told that {problem} may come back.
    Please taper {Drug}: {Strength} {Frequency} {Duration}, then stop.
    A chest film showed no {problem}, and oxygen was weaned.
    She was also given {inhalers} for {Reason} with relief.
    A {Duration} course of {Drug} was planned, but {ADE} developed on the second day.
    Blood pressure fell to {day}/50 and {Drug.2} was needed after {Drug} had been given {Route}.
""")
COMPLAINTS = _lines("""
    {problem}
    {problem} and {problem}
    {problem}, on {Drug}
    fall
    {ADE} after {Drug}
""")
HISTORY = _lines("""
    This is a {age} year old {sex} with {problem} who presented with {problem}.
    Mr. [**Known lastname {day}**] is a {age} yo {sex} with a history of {problem} and {problem}.
    Ms. [**Known lastname {day}**] took {Drug} for {Reason} at home and came in with {ADE}.
    The patient is a {age} year old {sex} transferred from [**Hospital1 {day}**] for {problem}.
    {age} y.o. {sex}, on {Drug} {Strength} {Frequency} {Duration} for {Reason}, now {problem}.
""")
ALLERGIES = _lines("""
    Patient recorded as having No Known Allergies to Drugs
    {Drug} / {Drug.2}
    {Drug} ({ADE})
    {Drug} causes {ADE}, {Drug.2} causes {ADE.2}.
    No known drug allergies
    {Drug}, nuts
""")
# Lines of a list of medications.
ADMISSION_ITEMS = _lines("""
    {Drug} {Strength} {Frequency}
    {Drug} {Strength} {Route} {Frequency}
    {Drug} {Dosage} {Frequency} for {Reason}
    {Drug}
    {Drug} {Strength} {Form} {Frequency}
    {inhalers} {Frequency}
    {Drug} (held since [**{day}-1**])
""")
DISCHARGE_ITEMS = _lines("""
    {Drug} {Strength} {Form} Sig: {Dosage} {Form} {Route} {Frequency}.
    {Drug} {Strength} {Form} Sig: {Dosage} {Form} {Route} {Frequency} as needed for {Reason}.
    {Drug} {Strength} {Form} Sig: {Dosage} {Form} {Route} {Frequency} {Duration}.
    {Drug} {Strength} {Form} [**Last Name (un) {day}**]: {Dosage} {Form} {Route} {Frequency}.
    {Drug} {Strength} {Form} Sig: {Dosage} {Route} {Frequency}. Disp:*{day} {Form}* Refills:*0*
    {Drug} Sig: {Dosage} {Route} {Frequency} for {Reason}.
""")
INSTRUCTIONS = _lines("""
    Please call your doctor if you have {problem}, {problem} or {problem}.
    You were treated for {problem}. Take all of your medicines.
    We stopped your {Drug} because it caused {ADE}.
    Take {Drug} {Frequency} {Duration} and have your {lab} checked.
    Do not take {Drug} or other {drug_class} with alcohol.
""")
LABS = ("potassium", "sodium", "glucose", "calcium", "magnesium", "iron", "creatinine", "INR")
SERVICES = ("MEDICINE", "SURGERY", "CARDIOTHORACIC", "NEUROLOGY", "ONCOLOGY", "TRAUMA")
